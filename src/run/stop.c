#include "run/stop.h"

#include <signal.h>
#include <stddef.h>

/* The one global that changes: a signal handler has nowhere else to write. */
static volatile sig_atomic_t caught;

static void remember(int signal) { caught = signal; }

void avi_stop_install(void)
{
    static const int signals[] = {SIGUSR1, SIGUSR2, SIGTERM, SIGINT};
    struct sigaction action = {.sa_handler = remember, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) sigaction(signals[i], &action, NULL);
}

int avi_stop_signal(void) { return caught; }

const char *avi_stop_name(int signal)
{
    switch (signal) {
    case SIGUSR1: return "SIGUSR1";
    case SIGUSR2: return "SIGUSR2";
    case SIGTERM: return "SIGTERM";
    case SIGINT: return "SIGINT";
    default: return "a signal";
    }
}
