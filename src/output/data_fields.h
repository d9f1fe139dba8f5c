/* /data of run.h5 and of checkpoints: what became of the user's columns. */
#ifndef AVI_OUTPUT_DATA_FIELDS_H
#define AVI_OUTPUT_DATA_FIELDS_H

#include "avi/store.h"
#include "session/session.h"

enum { AVI_DATA_FIELDS = 5, AVI_DATA_ATTRIBUTES = 12 };
/* Not collective. Fields and attributes, which borrow from the session; returns how many. */
/* columns: the names as avi_data_column_names has them, "" where there are none. */
int avi_data_fields(const avi_session *s, const char *columns, avi_field field[AVI_DATA_FIELDS]);
/* Not collective. Names of the columns, one a line. Owner: caller, free(). NULL when memory is short. */
char *avi_data_column_names(const avi_session *s);
int avi_data_attributes(const avi_session *s, avi_attribute attribute[AVI_DATA_ATTRIBUTES]);

#endif
