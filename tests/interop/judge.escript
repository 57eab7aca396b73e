#!/usr/bin/env escript
%% -*- erlang -*-
%%! -noshell -kernel logger_level critical
%%
%% Reads messages (each after its length, 32 bits) from a file and lets Erlang/OTP megaco's text codec decode them.
%% stdout: `not ok WHY: MESSAGE` for each that it refuses, `ok N` at the end.

-mode(compile).

main([File]) ->
    {ok, Octets} = file:read_file(File),
    Verdicts = [judge(Message) || Message <- messages(Octets)],
    io:format("ok ~w~n", [length([ok || ok <- Verdicts])]),
    halt(case lists:all(fun(V) -> V == ok end, Verdicts) of true -> 0; false -> 1 end).

messages(<<Length:32, Message:Length/binary, Rest/binary>>) -> [Message | messages(Rest)];
messages(<<>>) -> [].

judge(Message) ->
    case catch megaco_pretty_text_encoder:decode_message([], dynamic, Message) of
        {ok, _} -> ok;
        Why -> io:format("not ok ~0tP: ~0tp~n", [reason(Why), 30, Message]), refused
    end.

reason({error, Parts}) when is_list(Parts) -> proplists:get_value(reason, Parts, Parts);
reason(Other) -> Other.
