#!/usr/bin/env escript
%% -*- erlang -*-
%%! -noshell -kernel logger_level critical
%%
%% A media gateway controller that goes through tables of requests and replies, row by row, with one
%% running `mrf mrfp`; Erlang/OTP megaco's codec reads both the reply in the table and the one that
%% came, and the two must be the same tree. Texts of errors, SDP and the values of statistics do not count.
%%
%%     escript book.escript udp|tcp short|long VERSION TABLE ...
%%
%% `short` sends what the tables say, `long` what Erlang writes of it with long tokens, where it can read it.
%%
%% The tables are those of engine/mrfp/src/gateway/tests/book.rs, which tells their form. Each row has a
%% conference of its own, whose real numbers stand for 1, 2, 3 and so on of the row; 9 is none.
%%
%% stdout: `listening PORT`, then `not ok ROW: WHY` for each that differs, at last `done OK NOT-OK`.

-mode(compile).

-define(WAIT_MS, 5000).
-define(HEADER, "!/~w <mgc.example> ").
-define(LOCAL, "L{v=0\nc=IN IP4 $\nm=message $ TCP/MSRP *\na=path:$\n}").
-define(REMOTE, "R{v=0\nc=IN IP4 127.0.0.1\nm=message 9 TCP/MSRP *\na=path:msrp://127.0.0.1:9/2s93i93idj;tcp\n}").
%% What rows may have changed of the gateway itself.
-define(AS_IT_WAS, "C=-{SC=ROOT{SV{MT=RS,RE=\"901\"}},MF=ROOT{E,M{TS{root/normalMGExecutionTime=500}}}},C=*{W-S=*{AT{}}}").
%% A number that no context and no termination has.
-define(NONE, "4000000009").

-record(run, {link, tokens, version}).

main([Transport, Tokens, Version | Tables]) ->
    Link = listen(Transport),
    Run = register_gateway(#run{link = Link, tokens = Tokens, version = list_to_integer(Version)}),
    Rows = lists:append([rows(Table, Version) || Table <- Tables]),
    Verdicts = [try_row(Run, Row) || Row <- Rows],
    Bad = length([V || V <- Verdicts, V =/= ok]),
    io:format("done ~w ~w~n", [length(Verdicts) - Bad, Bad]),
    halt(min(Bad, 1)).

%% ---------------------------------------------------------------- tables

%% `{What goes before, Request, Reply}` of the rows for this version.
rows(Table, Version) ->
    {ok, Octets} = file:read_file(Table),
    rows(string:split(Octets, "\n", all), Version, []).

rows([], _, _) -> [];
rows([Line | Rest], Version, Before) ->
    case re:run(Line, "^([123]+) (?:\\+ (.*)|(.*) => (.*))$", [{capture, all_but_first, binary}]) of
        nomatch -> rows(Rest, Version, Before);
        {match, [_, Earlier]} -> rows(Rest, Version, [Earlier | Before]);
        {match, [Versions, _, Request, Reply]} ->
            Row = {lists:reverse(Before), Request, Reply},
            case binary:match(Versions, list_to_binary(Version)) of
                nomatch -> rows(Rest, Version, []);
                _ -> [Row | rows(Rest, Version, [])]
            end
    end.

%% ---------------------------------------------------------------- one row

try_row(Run, {Before, Request, Reply}) ->
    Numbers = conference(Run),
    [ask(Run, written(Earlier, Numbers)) || Earlier <- Before],
    Told = ask(Run, written(Request, Numbers)),
    ask(Run, ?AS_IT_WAS),
    Expected = [io_lib:format(?HEADER, [Run#run.version]), "P=1{", written(Reply, Numbers), "}"],
    case {tree(iolist_to_binary(Expected)), tree(Told)} of
        {{ok, Same}, {ok, Same}} -> ok;
        {{ok, _}, {ok, _}} -> differs(Request, Expected, Told);
        {{error, Why}, _} -> differs(Request, Expected, io_lib:format("~0tP", [Why, 30]));
        {_, {error, Why}} -> differs(Request, io_lib:format("~0tP", [Why, 30]), Told)
    end.

differs(Request, Expected, Told) ->
    io:format("not ok ~ts: expected ~0tp, got ~0tp~n", [Request, iolist_to_binary(Expected), iolist_to_binary(Told)]),
    failed.

%% Two terminations in a context and one in another; the first number of contexts and of terminations.
conference(Run) ->
    Add = ["A=${M{ST=1{O{MO=SR},", ?LOCAL, ",", ?REMOTE, "}}}"],
    Told = ask(Run, ["C=${", Add, ",", Add, "},C=${", Add, "}"]),
    {match, [Context, Termination]} =
        re:run(Told, "C=(\\d+)\\{A=msrp/(\\d+)", [{capture, all_but_first, list}]),
    {list_to_integer(Context), list_to_integer(Termination)}.

%% A row's text with the numbers that there are.
written(Text, {Context, Termination}) ->
    Escapes = [{"\\\\n", "\n"}, {"\\\\r", "\r"}, {"\\\\t", "\t"}, {"@L", ?LOCAL}, {"@R", ?REMOTE}],
    Replace = fun({From, To}, In) -> re:replace(In, From, literal(To), [global, {return, binary}]) end,
    Plain = lists:foldl(Replace, iolist_to_binary(Text), Escapes),
    Named = renumber(Plain, "((?:msrp|\\*)/)0*([1-9])(?![0-9])", Termination),
    Listed = case binary:match(Named, <<"CLT=">>) of
        nomatch -> Named;
        _ -> renumber(Named, "([{,])([1-9])(?=[,}])", Context)
    end,
    renumber(Listed, "(\\b(?:C|CONTEXT)\\s*=\\s*)0*([1-9])(?![0-9])", Context).

literal(Text) -> string:replace(string:replace(Text, "\\", "\\\\", all), "&", "\\&", all).

renumber(Text, Pattern, First) ->
    case re:run(Text, Pattern, [caseless]) of
        nomatch -> Text;
        {match, [_, {At, Length}, {Digit, 1}]} ->
            <<Start:(At + Length)/binary, _/binary>> = Text,
            <<_:Digit/binary, N, Rest/binary>> = Text,
            Number = case N of $9 -> ?NONE; _ -> integer_to_list(First + N - $1) end,
            iolist_to_binary([Start, Number, renumber(Rest, Pattern, First)])
    end.

%% ---------------------------------------------------------------- trees

tree(Octets) ->
    case catch megaco_pretty_text_encoder:decode_message([], dynamic, Octets) of
        {ok, {'MegacoMessage', _, {'Message', _, _, {transactions, [{transactionReply, Reply} | _]}}}} ->
            {ok, simple(setelement(2, Reply, id))};
        {ok, Other} -> {error, Other};
        {error, Parts} when is_list(Parts) -> {error, proplists:get_value(reason, Parts, Parts)};
        Other -> {error, Other}
    end.

simple({'ErrorDescriptor', Code, _}) -> {error, Code};
simple({'LocalRemoteDescriptor', _}) -> sdp;
simple({'StatisticsParameter', Name, _}) -> {statistic, Name};
%% One stream, written directly or by its number, is the same.
simple({oneStream, Parms}) -> {multiStream, [{'StreamDescriptor', 1, simple(Parms)}]};
simple(Tuple) when is_tuple(Tuple) -> list_to_tuple(simple(tuple_to_list(Tuple)));
simple([Head | Tail]) -> [simple(Head) | simple(Tail)];
simple(Other) -> Other.

%% ---------------------------------------------------------------- the wire

%% Says where, and hears the first message: `{Link, Octets}`.
listen("udp") ->
    {ok, Socket} = gen_udp:open(0, [binary, {ip, {127, 0, 0, 1}}, {active, false}, {recbuf, 1 bsl 20}]),
    {ok, Port} = inet:port(Socket),
    io:format("listening ~w~n", [Port]),
    {ok, {Address, From, Octets}} = gen_udp:recv(Socket, 0, 20000),
    {{udp, Socket, Address, From}, Octets};
listen("tcp") ->
    {ok, Listening} = gen_tcp:listen(0, [binary, {packet, tpkt}, {ip, {127, 0, 0, 1}}, {active, false}]),
    {ok, Port} = inet:port(Listening),
    io:format("listening ~w~n", [Port]),
    {ok, Socket} = gen_tcp:accept(Listening, 20000),
    Link = {tcp, Socket},
    {ok, Octets} = hear(Link, 20000),
    {Link, Octets}.

register_gateway(#run{link = {Link, Octets}, version = Version} = Asked) ->
    {match, [Id]} = re:run(Octets, "T=(\\d+)\\{C=-\\{SC=ROOT", [{capture, all_but_first, list}]),
    Run = Asked#run{link = Link},
    send(Run, io_lib:format("!/1 <mgc.example> P=~s{C=-{SC=ROOT{SV{V=~w,PF=MRF/7}}}}", [Id, Version])),
    Run.

send(#run{link = {udp, Socket, Address, Port}}, Text) ->
    ok = gen_udp:send(Socket, Address, Port, Text);
send(#run{link = {tcp, Socket}}, Text) ->
    ok = gen_tcp:send(Socket, [<<3, 0, (iolist_size(Text) + 4):16>>, Text]).

hear({udp, Socket, _, _}, Wait) ->
    case gen_udp:recv(Socket, 0, Wait) of
        {ok, {_, _, Octets}} -> {ok, Octets};
        {error, Why} -> {error, Why}
    end;
hear({tcp, Socket}, Wait) ->
    case gen_tcp:recv(Socket, 0, Wait) of
        {ok, <<3, 0, _:16, Octets/binary>>} -> {ok, Octets};
        {error, Why} -> {error, Why}
    end.

%% The message that answers a transaction of these actions (or, from `{` on, of this text).
ask(Run, Actions) ->
    Id = integer_to_list(erlang:unique_integer([positive])),
    Body = case iolist_to_binary(Actions) of
        <<"{", _/binary>> = Whole -> Whole;
        List -> ["{", List, "}"]
    end,
    Text = iolist_to_binary([io_lib:format(?HEADER, [Run#run.version]), "T=", Id, Body]),
    send(Run, with_tokens(Run#run.tokens, Text)),
    await(Run, Id).

%% Names in it are in lower case then, and mean the same (Annex B.1). Erlang's tree has no quotes, relations of
%% parameters, extensions, values that select a state, nor the order of prefixes, and of version 2 it writes no
%% modems: such a row, and one that it cannot read, is sent as it is.
with_tokens("short", Text) -> Text;
with_tokens("long", Text) ->
    [_, Actions] = string:split(Text, "> "),
    case re:run(Actions, "[<>#]|X\\+|MD=|W-O-|AT\\{M\\{TS", [caseless]) of
        nomatch ->
            case catch lengthened(Text) of
                Long when is_binary(Long) -> Long;
                _ -> Text
            end;
        _ -> Text
    end.

lengthened(Text) ->
    {ok, Tree} = megaco_pretty_text_encoder:decode_message([], dynamic, Text),
    Version = element(2, element(3, Tree)),
    {ok, Long} = megaco_pretty_text_encoder:encode_message([], Version, Tree),
    {ok, Tree} = megaco_pretty_text_encoder:decode_message([], dynamic, Long),
    Quotes = length(binary:matches(Text, <<$">>)),
    Quotes = length(binary:matches(Long, <<$">>)),
    Long.

await(#run{link = Link} = Run, Id) ->
    case hear(Link, ?WAIT_MS) of
        {ok, Octets} ->
            answer(Run, Octets),
            case re:run(Octets, ["\\bP=", Id, "\\{"]) of
                nomatch -> await(Run, Id);
                _ -> Octets
            end;
        {error, Why} -> iolist_to_binary(io_lib:format("~p", [Why]))
    end.

%% Consents to what the gateway tells.
answer(Run, Octets) ->
    Notify = "\\bT=(\\d+)\\{C=([^{]+)\\{(?:O-)?N=([^{]+)\\{",
    case re:run(Octets, Notify, [{capture, all_but_first, list}]) of
        {match, [Id, Context, Termination]} ->
            Reply = [io_lib:format(?HEADER, [Run#run.version]), "P=", Id, "{C=", Context, "{N=", Termination, "}}"],
            send(Run, Reply);
        nomatch -> ok
    end.
