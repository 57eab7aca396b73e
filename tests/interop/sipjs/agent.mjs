// A SIP user agent of SIP.js joins a messaging conference over WebSocket (RFC 7118), watches it, and leaves.
//
//     node agent.mjs WS-URL CONFERENCE-URI OFFER-FILE < commands
//
// Says on stdout, one a line: `answer 200` and the answer's SDP and `end`, or `answer STATUS`; `notify STATE` and the
// body and `end`; `ended` when the dialog is over. Takes on stdin `subscribe` and `bye`.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import WebSocket from "ws";
import { Inviter, SessionState, Subscriber, UserAgent } from "sip.js";

// SIP.js takes the browser's; a certificate of the check's own is as good as any.
globalThis.WebSocket = class extends WebSocket {
    constructor(url, protocols) {
        super(url, protocols, { rejectUnauthorized: false });
    }
};

const [url, conference, offer] = process.argv.slice(2);
const say = (...rows) => process.stdout.write(rows.join("\n") + "\n");

// The session description is the check's affair; SIP.js only carries it.
const description = () => ({
    close() {},
    hasDescription: (type) => type === "application/sdp",
    getDescription: async () => ({ body: readFileSync(offer, "utf8"), contentType: "application/sdp" }),
    setDescription: async (answer) => say("answer 200", answer.replaceAll("\r", ""), "end"),
    rollbackDescription: async () => {},
    sendDtmf: () => false,
});

const agent = new UserAgent({
    uri: UserAgent.makeURI("sip:sipjs@home1.example"),
    transportOptions: { server: url },
    sessionDescriptionHandlerFactory: description,
    logLevel: "warn",
    logBuiltinEnabled: false,
    logConnector: (level, category, _label, content) => console.error(level, category, content),
});
await agent.start();

const session = new Inviter(agent, UserAgent.makeURI(conference));
session.stateChange.addListener((state) => {
    if (state === SessionState.Terminated) {
        say("ended");
        agent.stop().then(() => process.exit(0));
    }
});
await session.invite({
    requestDelegate: { onReject: (response) => say(`answer ${response.message.statusCode}`) },
});

let subscription;
const commands = {
    subscribe() {
        subscription = new Subscriber(agent, UserAgent.makeURI(conference), "conference", { expires: 600 });
        subscription.delegate = {
            async onNotify(notification) {
                await notification.accept();
                const { request } = notification;
                say(`notify ${request.getHeader("Subscription-State")}`, request.body, "end");
            },
        };
        subscription.subscribe();
    },
    async bye() {
        await subscription?.unsubscribe();
        await session.bye();
    },
};
createInterface({ input: process.stdin }).on("line", (line) => commands[line]());
