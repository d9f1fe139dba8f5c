/* Whether the model can explain the values of the data. */
#ifndef AVI_SESSION_VALUES_H
#define AVI_SESSION_VALUES_H

#include "session/session.h"

/* Not collective. Whether the likelihood has any real number in every column, so that they may be standardised. */
bool avi_values_are_real(const avi_session *s);
/* Not collective. Whether values may be missing: data.missing = mask of rows that are held. */
bool avi_values_masked(const avi_session *s);
/* Not collective, before data are loaded: keys of [data] that the model cannot have. Errors: CONFIG. */
avi_status avi_values_check_keys(const avi_session *s);
/* Collective. Errors: DATA (a value that the likelihood cannot have). Warns of integers that the precision of the run
 * does not hold. */
avi_status avi_values_check(const avi_session *s, const avi_data *data, const avi_source *source);
/* Collective. Warns of test rows that are training rows. Errors: INTERNAL (memory). */
avi_status avi_values_check_overlap(const avi_session *s);
/* Not collective. What stored values become, for the header: "0 to 255, times 0.00392157". */
void avi_values_describe(const avi_session *s, char *text, size_t size);
/* Not collective. A note on values that often stand for missing ones (-999); false, when there are none. */
bool avi_values_note_codes(const avi_session *s, char *text, size_t size);

#endif
