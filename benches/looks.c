/* A mail filter that looks at everything and changes nothing, for benches/relay.py --filter. Threads are libmilter's.

   cc -O2 -o looks benches/looks.c -lmilter -lpthread
   looks SOCKET     when it is told to end it says how many messages it has seen to their end, and how many octets of them */
#include <libmilter/mfapi.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static atomic_ullong messages, octets;

static void seen(size_t length) { atomic_fetch_add_explicit(&octets, length, memory_order_relaxed); }

static sfsistat on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *address) {
    (void)ctx, (void)address;
    seen(strlen(host));
    return SMFIS_CONTINUE;
}
static sfsistat on_word(SMFICTX *ctx, char *word) { (void)ctx; seen(strlen(word)); return SMFIS_CONTINUE; }
static sfsistat on_words(SMFICTX *ctx, char **words) {
    (void)ctx;
    for (; *words; words++) seen(strlen(*words));
    return SMFIS_CONTINUE;
}
static sfsistat on_step(SMFICTX *ctx) { (void)ctx; return SMFIS_CONTINUE; }
static sfsistat on_unknown(SMFICTX *ctx, const char *line) { (void)ctx; seen(strlen(line)); return SMFIS_CONTINUE; }
static sfsistat on_field(SMFICTX *ctx, char *name, char *value) {
    (void)ctx;
    seen(strlen(name) + strlen(value));
    return SMFIS_CONTINUE;
}
static sfsistat on_body(SMFICTX *ctx, unsigned char *piece, size_t length) {
    (void)ctx, (void)piece;
    seen(length);
    return SMFIS_CONTINUE;
}
static sfsistat on_end(SMFICTX *ctx) {
    (void)ctx;
    atomic_fetch_add_explicit(&messages, 1, memory_order_relaxed);
    return SMFIS_CONTINUE;
}

int main(int argc, char **argv) {
    struct smfiDesc filter = {
        .xxfi_name = "looks",
        .xxfi_version = SMFI_VERSION,
        .xxfi_flags = SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_CHGBODY | SMFIF_ADDRCPT | SMFIF_DELRCPT | SMFIF_QUARANTINE,
        .xxfi_connect = on_connect,
        .xxfi_helo = on_word,
        .xxfi_envfrom = on_words,
        .xxfi_envrcpt = on_words,
        .xxfi_header = on_field,
        .xxfi_eoh = on_step,
        .xxfi_body = on_body,
        .xxfi_eom = on_end,
        .xxfi_abort = on_step,
        .xxfi_close = on_step,
        .xxfi_unknown = on_unknown,
        .xxfi_data = on_step,
    };
    if (argc != 2) {
        fprintf(stderr, "usage: looks SOCKET\n");
        return 64;
    }
    /* Postfix's processes are another user's. */
    umask(0);
    if (smfi_setconn(argv[1]) == MI_FAILURE || smfi_register(filter) == MI_FAILURE || smfi_setbacklog(1000) == MI_FAILURE)
        return 1;
    int ended = smfi_main();
    printf("%llu messages, %llu octets\n", atomic_load(&messages), atomic_load(&octets));
    return ended == MI_SUCCESS ? 0 : 1;
}
