#!/usr/bin/env escript
%% -*- erlang -*-
%%! -noshell
%%
%% Erlang/OTP megaco's text codec, with its C scanner, on the messages of a file that h248-codec wrote:
%% messages per second of CPU time decoded and encoded, best round. Compiled, as in production.

-mode(compile).

main([File]) ->
    {ok, Port} = flex(megaco_flex_scanner:start()),
    {ok, Framed} = file:read_file(File),
    Texts = texts(Framed),
    Config = [{flex, Port}],
    Messages = [decode(Config, Text) || Text <- Texts],
    Decode = best(length(Texts), fun() -> [decode(Config, Text) || Text <- Texts] end),
    Encode = best(length(Texts), fun() -> [encode(Message) || Message <- Messages] end),
    io:format("decode ~w~nencode ~w~n", [Decode, Encode]).

flex({ok, Port}) when is_port(Port) -> {ok, Port};
%% The multi-threaded driver gives a port for each scheduler.
flex({ok, Ports}) -> {ok, Ports}.

texts(<<Length:32, Text:Length/binary, Rest/binary>>) -> [Text | texts(Rest)];
texts(<<>>) -> [].

decode(Config, Text) ->
    {ok, Message} = megaco_compact_text_encoder:decode_message(Config, dynamic, Text),
    Message.

encode({'MegacoMessage', _, {'Message', Version, _, _}} = Message) ->
    {ok, Text} = megaco_compact_text_encoder:encode_message([], Version, Message),
    Text.

%% 15 rounds of about 200 ms, like the other side. One scheduler works, and one garbage collector within it.
best(Count, Work) -> lists:max([round_of(Count, Work, computed_ms(), 0) || _ <- lists:seq(1, 15)]).

round_of(Count, Work, Started, Passes) ->
    Work(),
    case computed_ms() - Started of
        Took when Took >= 200 -> (Passes + 1) * Count * 1000 div Took;
        _ -> round_of(Count, Work, Started, Passes + 1)
    end.

computed_ms() -> element(1, erlang:statistics(runtime)).
