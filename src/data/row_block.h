/* Rows of a source a block at a time, in the order of the data, as a fit that is done sees them: its scale and
 * transform are applied, and values that the fit could not have are refused. Nothing but the block is in memory. */
#ifndef AVI_DATA_ROW_BLOCK_H
#define AVI_DATA_ROW_BLOCK_H

#include "avi/data.h"

typedef struct avi_row_block {
    avi_data data; /* what estimators look at: own rows of the block, at the positions that they have in the data. It
                      stays where it is while blocks come and go */
    avi_source *source; /* borrowed */
    avi_comm *comm;     /* borrowed */
    int halo;
    int64_t tile, most;   /* rows of a tile, and of a block at most, a multiple of it */
    avi_support *support; /* owned: (width) what the likelihood can have in each column */
    int64_t room_entries; /* of ragged rows: entries that the room holds */
    unsigned char *room;  /* owned: rows [room_first, room_first + room_rows) as the source gives them */
    int64_t room_first, room_rows;
    int64_t next;    /* of a source that only rank 0 can read, in order: its next row */
    bool scale_open; /* bits or grey values: the first rows tell */
    double grey;     /* the scale of grey values */
} avi_row_block;

/* Collective. support: what the likelihood can have in a column. like: what became of the columns of the fit (scale,
 * log1p, mean, sd, stats), borrowed; halo: rows beside a row that are looked at. tile: rows that are always passed
 * together where sums are reproducible; most: rows of a block of all ranks, a multiple of it. b stays where it is until
 * avi_row_block_free, also when it fails. Errors: DATA, INTERNAL. */
avi_status avi_row_block_create(avi_source *source, avi_comm *comm, const avi_data *like, int lookahead, int halo,
                                int64_t tile, int64_t most, avi_support (*support)(const void *context, int64_t column),
                                const void *context, avi_row_block *b);
void avi_row_block_free(avi_row_block *b);
/* Not collective; all ranks do it. The source has other rows from now on, as many as its shape says: blocks begin anew.
 * Errors: DATA when there are too few, INTERNAL. */
avi_status avi_row_block_restart(avi_row_block *b);
/* Collective. Rows [first, first + count), count <= most, first a multiple of the tile: every rank has a part of whole
 * tiles, b->data.first and b->data.count. Blocks must come in order. Errors: DATA (a value that is not finite, or that
 * the likelihood cannot have: row, column and value), IO. */
avi_status avi_row_block_read(avi_row_block *b, int64_t first, int64_t count);
/* Rows [*first, *first + *count) of a block of `count` rows from `first` that a rank has. Not collective. */
void avi_row_block_part(int64_t block_first, int64_t block_rows, int64_t tile, int ranks, int rank, int64_t *first,
                        int64_t *count);

#endif
