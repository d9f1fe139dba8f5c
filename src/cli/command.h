/* The command line: options, then the task of the configuration. */
#ifndef AVI_CLI_COMMAND_H
#define AVI_CLI_COMMAND_H

/* Collective: starts and ends message passing. Returns the exit code. */
int avi_command(int argc, char **argv);

#endif
