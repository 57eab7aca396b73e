#!/usr/bin/env escript
%% -*- erlang -*-
%%! -kernel logger_level critical
%%
%% A media gateway controller on Erlang/OTP's megaco application, as judge of `mrf mrfp`: it takes the
%% gateway's registration, runs a messaging conference through its life and says what held.
%%
%%     escript mgc.escript udp|tcp|tcp6 pretty|compact VERSION [hold] [tls] [setup=ROLE] [LEG-PATH ...]
%%
%% stdout, one item a line:
%%     listening PORT        where the gateway shall register
%%     ok NAME | not ok NAME: WHY
%%     leg N PATH            the MSRP URI the gateway chose for the N-th termination
%%     record N URI          the place the gateway chose for what leg N sends
%%     hold                  (with `hold`) the legs are up; a line on stdin lets the run go on
%%     statistics N NAME=VALUE ...
%%     done OK NOT-OK        and exit 0 when nothing failed, else 1
%%
%% With two LEG-PATHs or more, what the first leg sends is recorded and the second gets a message and a filter. A LEG-PATH
%% is the participant's own MSRP URI, put into Remote; `setup=active` or `setup=passive` adds
%% that role of the participant (RFC 4145) for gateways that are told to obey SDP; `tls` asks for
%% terminations that speak MSRP over TLS.

-module(mgc).
-mode(compile).
-include_lib("megaco/include/megaco.hrl").

-export([main/1]).
-export([handle_connect/2, handle_disconnect/3, handle_syntax_error/3, handle_message_error/3,
         handle_trans_request/3, handle_trans_long_request/3, handle_trans_reply/4, handle_trans_ack/4,
         handle_unexpected_trans/3, handle_trans_request_abort/4, handle_segment_reply/5]).

-define(NAME, "mgc1.example").
-define(WAIT_MS, 20000).
-define(ABSENT, asn1_NOVALUE).

-record(run, {conn, version, legs, hold, setup, tls}).

main([Transport, Encoding, Version | Rest]) ->
    {Hold, Rest1} = take("hold", Rest),
    {Tls, Rest2} = take("tls", Rest1),
    {Setup, Legs} = role(Rest2),
    register(run, self()),
    Port = listen(Transport, codec(Encoding), list_to_integer(Version)),
    say("listening ~w", [Port]),
    {Conn, Agreed, Seen} = receive {registered, C, V, S} -> {C, V, S} after ?WAIT_MS -> quit("no gateway registered") end,
    registration(Seen, list_to_integer(Version), Agreed),
    conference(#run{conn = Conn, version = Agreed, hold = Hold, tls = Tls, setup = Setup, legs = Legs}),
    say("done ~w ~w", [count(ok), count(failed)]),
    init:stop(case count(failed) of 0 -> 0; _ -> 1 end),
    receive after infinity -> ok end;
main(_) ->
    io:format(standard_error, "usage: mgc.escript udp|tcp|tcp6 pretty|compact 1|2|3 [hold] [tls] [setup=ROLE] [LEG-PATH ...]~n", []),
    halt(2).

take(Word, Words) -> {lists:member(Word, Words), lists:delete(Word, Words)}.

role(["setup=" ++ Role | Legs]) -> {"a=setup:" ++ Role ++ "\n", Legs};
role(Legs) -> {"", Legs}.

codec("pretty") -> megaco_pretty_text_encoder;
codec("compact") -> megaco_compact_text_encoder.

quit(Why) ->
    say("not ok the run: ~s", [Why]),
    halt(1).

%% ---------------------------------------------------------------- the stack

%% Starts the controller and returns the port that the system chose.
listen(Transport, Codec, Version) ->
    ok = megaco:start(),
    Me = {domainName, {'DomainName', ?NAME, 2944}},
    Repeats = #megaco_incr_timer{wait_for = 1000, factor = 2, incr = 0, max_retries = 4},
    ok = megaco:start_user(Me, [{user_mod, ?MODULE}, {auto_ack, true}, {protocol_version, Version},
                                {strict_version, true}, {request_timer, Repeats}]),
    Base = megaco:user_info(Me, receive_handle),
    Handle = Base#megaco_receive_handle{encoding_mod = Codec, encoding_config = [], protocol_version = dynamic},
    listen(Transport, Handle).

listen("udp", Handle) ->
    {ok, Transport} = megaco_udp:start_transport(),
    {ok, Socket, _} = megaco_udp:open(Transport, [{port, 0}, {udp_options, loopback("")},
                                      {receive_handle, Handle#megaco_receive_handle{send_mod = megaco_udp}}]),
    {ok, Port} = inet:port(Socket),
    Port;
listen("tcp" ++ Family, Handle) ->
    {ok, Transport} = megaco_tcp:start_transport(),
    ok = megaco_tcp:listen(Transport, [{port, 0}, {tcp_options, [{nodelay, true} | loopback(Family)]},
                                       {receive_handle, Handle#megaco_receive_handle{send_mod = megaco_tcp}}]),
    %% The stack keeps its listening socket to itself; it is the only TCP port of this node.
    [Port] = [P || S <- erlang:ports(), {name, "tcp_inet"} == erlang:port_info(S, name), {ok, P} <- [inet:port(S)]],
    Port.

loopback("") -> [{ip, {127, 0, 0, 1}}];
loopback("6") -> [inet6, {ip, {0, 0, 0, 0, 0, 0, 0, 1}}].

%% One transaction, its actions written as text; `{Actions, Errors}` of the reply.
ask(#run{conn = Conn, version = Version}, Text) ->
    Request = tree(Version, ["T=1{", Text, "}"]),
    {transactions, [{transactionRequest, {'TransactionRequest', _, Actions}}]} = Request,
    case megaco:call(Conn, Actions, [{protocol_version, Version}]) of
        {_, {ok, Reply}} -> {Reply, codes(Reply)};
        {_, {error, Error}} -> {Error, codes(Error)};
        {_, Other} -> {Other, [no_reply]}
    end.

%% Sends octets that no transaction of the stack belongs to; what comes back is unexpected to it.
raw(#run{conn = Conn, version = Version}, Text) ->
    forget(),
    Module = megaco:conn_info(Conn, send_mod),
    Header = io_lib:format("!/~w <~s>:2944 ", [Version, ?NAME]),
    ok = Module:send_message(megaco:conn_info(Conn, send_handle), iolist_to_binary([Header, Text])),
    receive {unexpected, What} -> What after ?WAIT_MS -> no_reply end.

forget() -> receive {unexpected, _} -> forget() after 0 -> ok end.

tree(Version, Text) ->
    Octets = iolist_to_binary(io_lib:format("!/~w <~s>:2944 ~s", [Version, ?NAME, Text])),
    {ok, {'MegacoMessage', _, {'Message', _, _, Body}}} = megaco_pretty_text_encoder:decode_message([], dynamic, Octets),
    Body.

%% ---------------------------------------------------------------- what is checked

registration(Seen, Highest, Agreed) ->
    hold("registers with ServiceChange Restart on ROOT", maps:with([root, method], Seen) == #{root => true, method => restart}, Seen),
    hold("gives a cold or warm boot as reason", lists:any(fun(R) -> starts(maps:get(reason, Seen), R) end, ["901", "902"]), Seen),
    hold("offers a protocol version", is_integer(maps:get(version, Seen)), Seen),
    hold("agrees to the version wanted", Agreed == Highest, Seen),
    hold("names a profile", maps:get(profile, Seen) =/= ?ABSENT, Seen).

conference(#run{legs = Paths} = Run) ->
    audit_root(Run),
    {Context, Terms} = add(Run, case Paths of [] -> 20; _ -> max(2, length(Paths)) end),
    configure(Run, Context, Terms),
    audit(Run, Context, Terms),
    refusals(Run, Context, Terms),
    at_most_once(Run),
    messages(Run, Context, Terms),
    pause(Run),
    played(Run, Context, Terms),
    release(Run, Context, Terms),
    audit_root(Run).

audit_root(Run) ->
    {Empty, E1} = ask(Run, "C=-{AV=ROOT{AT{}}}"),
    hold("answers an empty audit of ROOT", E1 == [] andalso names(Empty) == ["root"], Empty),
    {Full, E2} = ask(Run, "C=-{AV=ROOT{AT{PG}}}"),
    Packages = [element(2, P) || P <- records('PackagesItem', Full)],
    hold("lists its packages", E2 == [] andalso ["g", "nt", "root"] -- Packages == [], Packages).

add(#run{tls = Tls} = Run, Legs) ->
    One = ["A=${M{ST=1{O{MO=SR},L{\nv=0\nc=IN IP4 $\nm=message $ ", protocol(Tls), " *\na=path:$\n}}}}"],
    {Reply, Errors} = ask(Run, ["C=${", lists:join(",", lists:duplicate(Legs, One)), "}"]),
    Contexts = [element(2, A) || A <- records('ActionReply', Reply)],
    Terms = names(Reply),
    Locals = [element(3, S) || S <- records('StreamParms', Reply), element(3, S) =/= ?ABSENT],
    hold("adds terminations without error", Errors == [], Errors),
    hold("chooses one context", match([C || C <- Contexts, C > 0, C < 16#FFFFFFFE], 1) andalso length(Contexts) == 1, Contexts),
    hold("chooses a termination for each Add", match(lists:usort(Terms), Legs), Terms),
    hold("fills the address", lists:all(fun(L) -> like(sdp("c", L), "^IN IP4 [0-9.]+$") end, Locals) andalso match(Locals, Legs), Locals),
    hold("fills the port", lists:all(fun(L) -> like(sdp("m", L), ["^message [1-9][0-9]* ", protocol(Tls), " [*]$"]) end, Locals), Locals),
    Paths = [path(L) || L <- Locals],
    hold("fills the MSRP URI", lists:all(fun(P) -> like(P, [scheme(Tls), "://[0-9.]+:[1-9][0-9]*/[^;/]{14,};tcp$"]) end, Paths), Paths),
    hold("gives each session its own id", match(lists:usort(Paths), Legs), Paths),
    count(failed) > 0 andalso quit("no conference to go on with"),
    [say("leg ~w ~s", [N, P]) || {N, P} <- number(Paths)],
    {hd(Contexts), Terms}.

protocol(true) -> "TCP/TLS/MSRP";
protocol(false) -> "TCP/MSRP".

scheme(true) -> "^msrps";
scheme(false) -> "^msrp".

configure(#run{legs = Paths, setup = Setup, tls = Tls} = Run, Context, Terms) ->
    Remotes = Paths ++ [spare(N) || N <- lists:seq(length(Paths) + 1, length(Terms))],
    Text = [["MF=", T, "{M{ST=1{R{\n", remote(P, Setup, protocol(Tls)), "}}}}"] || {T, P} <- lists:zip(Terms, Remotes)],
    {Reply, Errors} = ask(Run, [action(Context), lists:join(",", Text), "}"]),
    hold("takes a Remote for every termination", Errors == [] andalso names(Reply) == Terms, Reply).

spare(N) -> io_lib:format("msrp://127.0.0.1:9/SpareSession~w;tcp", [N]).

remote(Path, Setup, Protocol) ->
    {match, [Host, Port]} = re:run(Path, "//([^/]+):([0-9]+)/", [{capture, [1, 2], list}]),
    ["v=0\nc=IN IP4 ", Host, "\nm=message ", Port, " ", Protocol, " *\na=path:", Path, "\n", Setup].

audit(#run{legs = Paths} = Run, Context, [First | _] = Terms) ->
    {Value, E1} = ask(Run, [action(Context), "AV=", First, "{AT{M,SA}}}"]),
    Streams = records('StreamParms', Value),
    Modes = [element(2, C) || C <- records('LocalControlDescriptor', Value)],
    Sent = case Paths of [P | _] -> P; [] -> lists:flatten(spare(1)) end,
    hold("audits the media of a termination", E1 == [] andalso Streams =/= [], Value),
    hold("keeps the mode it was given", Modes == [sendRecv], Modes),
    hold("keeps Remote to the letter", [path(element(4, S)) || S <- Streams] == [Sent], Streams),
    hold("audits statistics", counters(Value) =/= [], Value),
    {Each, E2} = ask(Run, [action(Context), "AV=*{AT{}}}"]),
    hold("lists every termination for *", E2 == [] andalso lists:sort(names(Each)) == lists:sort(Terms), Each),
    {_, E3} = ask(Run, [action(Context), "W-AV=*{AT{}}}"]),
    hold("answers a wildcarded response", E3 == [], E3),
    {Where, E4} = ask(Run, ["C=*{AV=", First, "{AT{}}}"]),
    hold("finds the context of a termination", E4 == [] andalso [element(2, A) || A <- records('ActionReply', Where)] == [Context], Where),
    {Same, E5} = ask(Run, [action(Context), "MF=*{M{ST=1{O{MO=SR}}}}}"]),
    hold("modifies every termination for *", E5 == [] andalso lists:sort(names(Same)) == lists:sort(Terms), Same).

refusals(Run, Context, [First | _]) ->
    In = action(Context),
    Other = "C=4000000001{",
    [refused(Run, What, [Where, Text, "}"], Codes) || {What, Where, Text, Codes} <- [
        {"an unknown context", Other, ["MF=", First, "{M{O{MO=IN}}}"], [411]},
        {"a Subtract in an unknown context", Other, "S=*", [411]},
        {"an unknown termination", In, "MF=msrp/4000000001{M{O{MO=IN}}}", [430]},
        {"a termination name of another kind", In, "AV=nosuch{AT{M}}", [430]},
        {"a wildcard that matches nothing", In, "MF=nosuch/*{M{O{MO=IN}}}", [430, 431]},
        {"Modify of $", In, "MF=${M{O{MO=IN}}}", [410, 421]},
        {"Subtract of $", In, "S=$", [410, 421]},
        {"Subtract of ROOT", In, "S=ROOT", [410]},
        {"an Add of a name of our own", In, "A=nosuch{M{O{MO=IN}}}", [430, 410]},
        {"a property nobody knows", In, ["MF=", First, "{M{ST=1{O{nosuch/prop=1}}}}"], [440, 445, 450]},
        {"a quota nobody knows", In, ["MF=", First, "{E=5{msrpstat/mquota{nosuch=1}}}"], [454]},
        {"an event nobody knows", In, ["MF=", First, "{E=5{msrpstat/nosuch}}"], [451]},
        {"a signal nobody knows", In, ["MF=", First, "{SG{mess/nosuch}}"], [452]},
        {"a filter that is no Sieve", In, filter(First, "imf", "if"), [700]},
        {"a filter that needs too much", In, filter(First, "omf", "require 'fileinto';"), [701]},
        {"a filter of too many actions", In, filter(First, "omf", lists:duplicate(65, "keep;")), [702]},
        {"a message without a name", In, ["MF=", First, "{SG{mess/sm{mcr=\"data:,x\"}}}"], [457]},
        {"a message from outside the storage", In, ["MF=", First, "{SG{mess/sm{mi=\"m\",mcr=\"file:///../x\"}}}"], [449]},
        {"a recording without a place", In, ["MF=", First, "{SG{recmess/rm{dir=EXT}}}"], [457]}]],
    {Stopped, _} = ask(Run, [In, "MF=msrp/4000000001{M{O{MO=IN}}},AV=", First, "{AT{}}}"]),
    hold("stops at the first failed command", records('AuditResult', Stopped) == [] andalso not lists:member(First, names(Stopped)), Stopped),
    {Went, Errors} = ask(Run, [In, "O-MF=msrp/4000000001{M{O{MO=IN}}},AV=", First, "{AT{}}}"]),
    hold("goes on after a failed optional command", Errors == [430] andalso lists:member(First, names(Went)), Went),
    second_context(Run, First).

%% A termination asked for in a context that is not its own.
second_context(Run, Elsewhere) ->
    {Reply, []} = ask(Run, "C=${A=${M{ST=1{O{MO=SR},L{\nv=0\nc=IN IP4 $\nm=message $ TCP/MSRP *\n}}}}}"),
    [Action] = records('ActionReply', Reply),
    In = action(element(2, Action)),
    refused(Run, "a termination of another context", [In, "MF=", Elsewhere, "{M{O{MO=IN}}}}"], [435, 430]),
    {_, Errors} = ask(Run, [In, "W-S=*{AT{}}}"]),
    hold("subtracts all with a wildcarded response and no statistics", Errors == [], Errors).

refused(Run, What, Text, Codes) ->
    {Reply, Errors} = ask(Run, Text),
    hold("refuses " ++ What, Errors =/= [] andalso Errors -- Codes == [], Reply).

%% The same octets twice: the second time the stored reply, not a second execution (H.248.1 D.1.1).
at_most_once(Run) ->
    Text = "T=700000001{C=${A=${M{ST=1{O{MO=SR},L{\nv=0\nc=IN IP4 $\nm=message $ TCP/MSRP *\na=path:$\n}}}}}}",
    First = raw(Run, Text),
    Second = raw(Run, Text),
    Contexts = [element(2, A) || A <- records('ActionReply', First)],
    hold("answers a transaction of unknown origin", match(Contexts, 1) andalso codes(First) == [], First),
    hold("executes a repeated transaction once", First == Second, {First, Second}),
    {_, E1} = ask(Run, [action(hd(Contexts)), "S=*}"]),
    hold("subtracts what the raw transaction made", E1 == [], E1),
    One = raw(Run, "T=700000002{C=-{AV=ROOT{AT{}}}}T=700000003{C=-{AV=ROOT{AT{}}}}"),
    Two = receive {unexpected, More} -> More after ?WAIT_MS -> no_reply end,
    hold("answers two transactions of a message", codes(One) ++ codes(Two) == [], {One, Two}),
    Broken = raw(Run, "T=700000004{C=-{AV=ROOT{AT{}}"),
    hold("answers a broken message with an error", codes(Broken) =/= [], Broken).

filter(Term, Name, Script) ->
    ["MF=", Term, "{M{ST=1{O{MO=SR,mf/", Name, "=\"", Script, "\"}}}}"].

%% Packages mess, recmess and mf (H.248.69).
messages(#run{legs = Paths} = Run, Context, [First, Second | _]) ->
    In = action(Context),
    {_, E1} = ask(Run, [In, "MF=", First, "{E=7{mess/msrs},SG{mess/sm{mi=\"nosuch\",mcr=\"file:///nosuch\"}}}}"]),
    hold("takes a message to play", E1 == [], E1),
    Missing = notified(),
    hold("tells that the message is not there", observed("mess/msrs", Missing) == [{"mi", "nosuch"}, {"sc", "404"}], Missing),
    {_, E2} = ask(Run, [In, filter(First, "imf", "if size :over 100M { discard; }"), "}"]),
    {Set, E3} = ask(Run, [In, "AV=", First, "{AT{M}}}"]),
    hold("keeps a filter to the letter", {E2, E3, values("mf/imf", Set)} == {[], [], [["if size :over 100M { discard; }"]]}, Set),
    length(Paths) < 2 orelse play_and_record(Run, In, First, Second).

play_and_record(Run, In, First, Second) ->
    {Chosen, E1} = ask(Run, [In, "MF=", First, "{SG{recmess/rm{ST=1,sl=\"?\",dir=EXT}}}}"]),
    Places = [V || {'SigParameter', "sl", [V], _} <- records('SigParameter', Chosen)],
    hold("chooses a place for a recording", E1 == [] andalso match(Places, 1) andalso hd(Places) =/= "?", Chosen),
    [say("record 1 ~s", [P]) || P <- Places],
    {_, E2} = ask(Run, [In, filter(Second, "omf", "if header :contains 'content-type' 'secret' { discard; }"), "}"]),
    hold("takes a filter for what goes out", E2 == [], E2),
    {_, E3} = ask(Run, [In, "MF=", Second, "{E=6{mess/msrs{ST=1}},SG{mess/sm{ST=1,mi=\"w\",mcr=\"data:text/plain,Welcome\"}}}}"]),
    hold("takes a message for a leg that is not there yet", E3 == [], E3).

played(#run{legs = Paths} = Run, Context, [First | _]) when length(Paths) > 1 ->
    Welcome = notified(),
    hold("tells that the message was played", observed("mess/msrs", Welcome) == [{"mi", "w"}, {"sc", "200"}], Welcome),
    {_, E1} = ask(Run, [action(Context), "MF=", First, "{SG}}"]),
    hold("ends a recording", E1 == [], E1);
played(_, _, _) -> ok.

%% The actions of the next Notify.
notified() -> receive {notified, Actions} -> Actions after ?WAIT_MS -> no_notify end.

%% The parameters of the only event, which must have this name.
observed(Name, Actions) ->
    [{Key, V} || {'ObservedEvent', Event, _, Parms, _} <- records('ObservedEvent', Actions), Event == Name,
                 {'EventParameter', Key, [V], _} <- Parms].

values(Name, Reply) -> [V || {'PropertyParm', Key, V, _} <- records('PropertyParm', Reply), Key == Name].

pause(#run{hold = false}) -> ok;
pause(#run{hold = true}) ->
    say("hold", []),
    eof == io:get_line("") andalso quit("stdin closed during the hold").

release(Run, Context, [First | Rest]) ->
    In = action(Context),
    {One, E1} = ask(Run, [In, "S=", First, "}"]),
    hold("subtracts one with statistics", E1 == [] andalso complete(counters(One)), One),
    say_statistics(1, One),
    {All, E2} = ask(Run, [In, "S=*{AT{SA}}}"]),
    hold("subtracts the rest with *", E2 == [] andalso lists:sort(names(All)) == lists:sort(Rest) andalso complete(counters(All)), All),
    [say_statistics(N + 1, Reply) || {N, Reply} <- number(records('AmmsReply', All))],
    refused(Run, "an audit of the context that is gone", [In, "AV=*{AT{}}}"], [411]),
    refused(Run, "a second Subtract", [In, "S=*}"], [411]).

complete(Statistics) -> ["msrpstat/nmr", "msrpstat/nms", "msrpstat/vmr", "msrpstat/vms"] -- [N || {N, _} <- Statistics] == [].

say_statistics(N, Reply) ->
    say("statistics ~w ~s", [N, lists:join(" ", [[Name, "=", V] || {Name, [V]} <- counters(Reply)])]).

%% ---------------------------------------------------------------- reading replies

%% Every record called `Tag` inside a term, outermost first. Records differ between protocol versions in
%% their later fields only.
records(Tag, Term) -> lists:reverse(records(Tag, Term, [])).

records(Tag, Term, Found) when is_tuple(Term) ->
    Here = case tuple_size(Term) > 0 andalso element(1, Term) of Tag -> [Term | Found]; _ -> Found end,
    records(Tag, tuple_to_list(Term), Here);
records(Tag, [Head | Tail], Found) -> records(Tag, Tail, records(Tag, Head, Found));
records(_, _, Found) -> Found.

codes(no_reply) -> [no_reply];
codes(Reply) -> [element(2, E) || E <- records('ErrorDescriptor', Reply)].

names(Reply) -> lists:uniq([string:lowercase(lists:flatten(lists:join("/", L))) || {_, _, L} <- records(megaco_term_id, Reply)]).

counters(Reply) -> [{element(2, S), element(3, S)} || S <- records('StatisticsParameter', Reply)].

sdp(Type, Local) -> hd([V || {'PropertyParm', T, [V], _} <- records('PropertyParm', Local), T == Type] ++ [""]).

path(?ABSENT) -> "";
path(Local) -> hd([V || {'PropertyParm', "a", ["path:" ++ V], _} <- records('PropertyParm', Local)] ++ [""]).

action(Context) -> io_lib:format("C=~w{", [Context]).
like(Text, Pattern) -> match == re:run(Text, Pattern, [{capture, none}]).
match(List, Length) -> length(List) == Length.
starts([Text], Prefix) -> starts(Text, Prefix);
starts(Text, Prefix) -> is_list(Text) andalso lists:prefix(Prefix, Text).
number(List) -> lists:zip(lists:seq(1, length(List)), List).

%% ---------------------------------------------------------------- saying so

hold(What, true, _) -> note(ok), say("ok ~s", [What]);
hold(What, _, Seen) -> note(failed), say("not ok ~s: ~0tP", [What, Seen, 60]).

note(Key) -> put(Key, count(Key) + 1).
count(Key) -> case get(Key) of undefined -> 0; N -> N end.
say(Format, Arguments) -> io:format(Format ++ "~n", Arguments).

%% ---------------------------------------------------------------- called by the stack

handle_trans_request(Conn, Version, Actions) ->
    case records('ServiceChangeParm', Actions) of
        [Parm | _] -> service_change(Conn, Version, Actions, Parm);
        [] -> notify(Version, Actions)
    end.

%% Every command of a request must be a Notify.
notify(Version, Actions) ->
    run ! {notified, Actions},
    Named = [{element(2, A), names(element(5, A))} || A <- records('ActionRequest', Actions)],
    Text = [[action(Context), lists:join(",", ["N=" ++ T || T <- Terms]), "}"] || {Context, Terms} <- Named],
    {transactions, [{transactionReply, Reply}]} = tree(Version, ["P=1{", lists:join(",", Text), "}"]),
    {actionReplies, Replies} = element(4, Reply),
    {discard_ack, Replies}.

service_change(Conn, Version, Actions, Parm) ->
    Asked = case element(4, Parm) of ?ABSENT -> Version; V -> V end,
    Agreed = min(Asked, highest(Conn)),
    ok = megaco:update_conn_info(Conn, protocol_version, Agreed),
    Seen = #{root => names(Actions) == ["root"], method => element(2, Parm), version => element(4, Parm),
             profile => element(5, Parm), reason => element(6, Parm)},
    run ! {registered, Conn, Agreed, Seen},
    Text = io_lib:format("P=1{C=-{SC=ROOT{SV{V=~w}}}}", [Agreed]),
    {transactions, [{transactionReply, Reply}]} = tree(Version, Text),
    {actionReplies, Replies} = element(4, Reply),
    {discard_ack, Replies}.

highest(Conn) -> megaco:user_info(Conn#megaco_conn_handle.local_mid, protocol_version).

handle_unexpected_trans(_, _, Transaction) -> run ! {unexpected, Transaction}, ok.
handle_message_error(_, _, Error) -> run ! {unexpected, Error}, ok.
handle_connect(_, _) -> ok.
handle_disconnect(_, _, _) -> ok.
handle_syntax_error(_, _, _) -> reply.
handle_trans_long_request(_, _, _) -> {discard_ack, {'ErrorDescriptor', 501, "unused"}}.
handle_trans_reply(_, _, _, _) -> ok.
handle_trans_ack(_, _, _, _) -> ok.
handle_trans_request_abort(_, _, _, _) -> ok.
handle_segment_reply(_, _, _, _, _) -> ok.
