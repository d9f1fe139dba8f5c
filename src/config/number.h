/* Numbers and lists of numbers as a person types them, the same wherever a key or --sweep has them. */
#ifndef AVI_CONFIG_NUMBER_H
#define AVI_CONFIG_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* The whole text as a decimal number: digits, sign, point, exponent, and _ between digits. False for anything else:
 * hexadecimal, inf, nan, what is too large for a double, and what is too small to be told from 0. */
bool avi_number_real(const char *text, double *value);
/* The same, and whole: 1e6 is an integer, 1.5 is none. */
bool avi_number_integer(const char *text, int64_t *value);

/* Moves *at from behind one element of a list to the next, over blanks and at most one comma, or to the end of the
 * text. False: a comma is followed by another, or by nothing. */
bool avi_list_next(const char **at);

#endif
