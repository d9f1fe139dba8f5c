#include "train/signals.h"

#include <signal.h>
#include <stddef.h>

/* The one global that changes: a signal handler has nowhere else to write. */
static volatile sig_atomic_t caught;

/* Whom to ask and tell beyond this run; set while a sweep runs. It belongs to the process as the flag does. */
static struct {
    bool (*call)(void *self, bool here);
    void *self;
} share;

static void remember(int signal) { caught = signal; }

void avi_signals_install(void)
{
    static const int signals[] = {SIGUSR1, SIGUSR2, SIGTERM, SIGINT};
    struct sigaction action = {.sa_handler = remember, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) sigaction(signals[i], &action, NULL);
}

void avi_signals_share(bool (*call)(void *self, bool here), void *self)
{
    share.call = call;
    share.self = self;
}

int avi_signals_signal(void)
{
    const int here = caught;
    if (!share.call || !share.call(share.self, here != 0)) return here;
    return here ? here : SIGUSR1; /* elsewhere: which one does not matter */
}

const char *avi_signals_name(int signal)
{
    switch (signal) {
    case SIGUSR1:
        return "SIGUSR1";
    case SIGUSR2:
        return "SIGUSR2";
    case SIGTERM:
        return "SIGTERM";
    case SIGINT:
        return "SIGINT";
    default:
        return "a signal";
    }
}
