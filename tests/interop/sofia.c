/* A SIP user agent of sofia-sip joins a messaging conference, watches it, and leaves.
 *
 *     sofia OWN-URL CONFERENCE-URI [PROXY-URI] < commands
 *
 * The SDP offer is the file `offer.sdp` of the working directory. Says on stdout, one a line: `answer STATUS
 * CONTACT` and, after a 2xx, the answer's SDP and `end`; `subscribed STATUS`; `notify STATE TYPE LENGTH` and the
 * body and `end`; `left STATUS`; `problem WHAT`. Takes on stdin `subscribe`, `hold` (a re-INVITE with the same
 * offer), `unsubscribe` and `bye`. Ends after `left`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct agent agent;
#define NUA_MAGIC_T agent
#define NUA_HMAGIC_T agent
#define SU_ROOT_MAGIC_T agent
#include <sofia-sip/nua.h>
#include <sofia-sip/sip_protos.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/su_wait.h>

#define OFFER_BYTES_MAX 4096

struct agent {
    su_home_t home[1];
    su_root_t *root;
    nua_t *nua;
    nua_handle_t *call;
    char offer[OFFER_BYTES_MAX + 1];
    int leaving;
};

static void say_body(sip_t const *sip) {
    if (sip && sip->sip_payload && sip->sip_payload->pl_data)
        fwrite(sip->sip_payload->pl_data, 1, sip->sip_payload->pl_len, stdout);
    printf("\nend\n");
}

static void event(nua_event_t event, int status, char const *phrase, nua_t *nua, agent *self, nua_handle_t *nh,
                  agent *handle, sip_t const *sip, tagi_t tags[]) {
    (void)phrase, (void)nua, (void)nh, (void)handle, (void)tags;
    switch (event) {
    case nua_r_invite:
        if (status < 200)
            break;
        printf("answer %d %s\n", status,
               sip && sip->sip_contact ? sip_header_as_string(self->home, (sip_header_t *)sip->sip_contact) : "-");
        if (status < 300) {
            say_body(sip);
            nua_ack(self->call, TAG_END());
        }
        break;
    case nua_r_subscribe:
        if (status >= 200)
            printf("subscribed %d\n", status);
        break;
    case nua_r_unsubscribe:
        if (status >= 200)
            printf("unsubscribed %d\n", status);
        break;
    case nua_i_notify:
        printf("notify %s %s %lu\n",
               sip && sip->sip_subscription_state ? sip->sip_subscription_state->ss_substate : "-",
               sip && sip->sip_content_type ? sip->sip_content_type->c_type : "-",
               sip && sip->sip_payload ? (unsigned long)sip->sip_payload->pl_len : 0UL);
        say_body(sip);
        break;
    case nua_r_bye:
        if (status < 200)
            break;
        printf("left %d\n", status);
        self->leaving = 1;
        nua_shutdown(self->nua);
        break;
    case nua_i_bye:
        printf("problem the focus sent BYE\n");
        break;
    case nua_i_error:
        printf("problem %d %s\n", status, phrase);
        break;
    case nua_r_shutdown:
        if (status >= 200)
            su_root_break(self->root);
        break;
    default:
        break;
    }
    fflush(stdout);
}

static void invite(agent *self) {
    nua_invite(self->call, NUTAG_MEDIA_ENABLE(0), NUTAG_AUTOACK(0), SIPTAG_CONTENT_TYPE_STR("application/sdp"),
               SIPTAG_PAYLOAD_STR(self->offer), TAG_END());
}

static int command(agent *self, su_wait_t *wait, su_wakeup_arg_t *arg) {
    char line[64];
    (void)wait, (void)arg;
    /* One whole line a write: what starts this writes so. */
    ssize_t got = read(STDIN_FILENO, line, sizeof line - 1);
    if (got <= 0) {
        su_root_break(self->root);
        return 0;
    }
    line[got] = 0;
    line[strcspn(line, "\n")] = 0;
    if (!strcmp(line, "subscribe"))
        nua_subscribe(self->call, SIPTAG_EVENT_STR("conference"), SIPTAG_EXPIRES_STR("600"),
                      SIPTAG_ACCEPT_STR("application/conference-info+xml"), TAG_END());
    else if (!strcmp(line, "unsubscribe"))
        nua_unsubscribe(self->call, SIPTAG_EVENT_STR("conference"), TAG_END());
    else if (!strcmp(line, "hold"))
        invite(self);
    else if (!strcmp(line, "bye"))
        nua_bye(self->call, TAG_END());
    else
        printf("problem no such command: %s\n", line), fflush(stdout);
    return 0;
}

int main(int argc, char **argv) {
    static agent self[1];
    su_wait_t input[1];
    FILE *offer = fopen("offer.sdp", "rb");
    if (argc < 3 || !offer || !fread(self->offer, 1, OFFER_BYTES_MAX, offer)) {
        fprintf(stderr, "usage: sofia OWN-URL CONFERENCE-URI [PROXY-URI], with offer.sdp here\n");
        return 2;
    }
    fclose(offer);
    su_init();
    su_home_init(self->home);
    self->root = su_root_create(self);
    self->nua = nua_create(self->root, event, self, NUTAG_URL(argv[1]),
                           TAG_IF(argc > 3, NUTAG_PROXY(argc > 3 ? argv[3] : NULL)), TAG_END());
    if (!self->nua) {
        fprintf(stderr, "cannot listen on %s\n", argv[1]);
        return 1;
    }
    nua_set_params(self->nua, NUTAG_ENABLEMESSAGE(0), NUTAG_ALLOW("REFER"), TAG_END());
    self->call = nua_handle(self->nua, self, SIPTAG_TO_STR(argv[2]), NUTAG_URL(argv[2]),
                            SIPTAG_FROM_STR("<sip:sofia@home1.example>"), TAG_END());
    su_wait_create(input, STDIN_FILENO, SU_WAIT_IN);
    su_root_register(self->root, input, command, NULL, 0);
    invite(self);
    su_root_run(self->root);
    nua_destroy(self->nua);
    su_root_destroy(self->root);
    return self->leaving ? 0 : 1;
}
