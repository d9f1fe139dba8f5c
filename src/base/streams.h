/* Standard input, output and error of the process. */
#ifndef AVI_BASE_STREAMS_H
#define AVI_BASE_STREAMS_H

#include "avi/status.h"

/* Opens /dev/null in place of descriptors 0, 1 and 2 that are closed: else the next file or socket that is opened
 * becomes standard output, and gets what is printed. First thing in a program. Not collective. */
void avi_streams_open(void);
/* For commands whose result is what they print: writes out what is buffered. Errors: IO, when something printed since
 * the start could not be written. A reader that has gone away (| head) is none. Not collective. */
avi_status avi_streams_flush(void);

#endif
