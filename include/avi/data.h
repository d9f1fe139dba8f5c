/* Data: sources (where rows come from) and the rows a rank holds.
 *
 * A source is one file src/source/source_<name>.c and one line AVI_SOURCE(<name>) in registry.def.
 *
 * Rows are HELD (each rank has its own in memory) or STREAMED (no row is held; a fetch asks the source for the rows of
 * a tile anew). Only data that are a pure function of (seed, row) can be streamed. Models see the same bits either way.
 *
 * Rows are DENSE (`width` values each) or RAGGED (any number of entries, 0 included, of `width` values each: the
 * observations of a group, the words of a document). What is said of columns is then said of the columns of entries.
 * Every row of either kind is one datapoint: partition, shuffling, batches and checkpoints number rows, never entries.
 */
#ifndef AVI_DATA_H
#define AVI_DATA_H

#include "avi/config.h"
#include "avi/partition.h"
#include "avi/registry.h"

#include <stdint.h>

typedef enum avi_dtype { AVI_U8, AVI_F32, AVI_F64, AVI_I64 } avi_dtype;
AVI_API size_t avi_dtype_size(avi_dtype type);

typedef enum avi_split { AVI_TRAIN, AVI_TEST } avi_split;

/* What values a likelihood can have; numbers as the model sees them, before they are standardised. */
typedef enum avi_support {
    AVI_SUPPORT_REAL,
    AVI_SUPPORT_UNIT,             /* [0, 1] */
    AVI_SUPPORT_BINARY,           /* 0 or 1 */
    AVI_SUPPORT_BINARY_OR_ABSENT, /* 0 or 1; below 0: there is none */
    AVI_SUPPORT_COUNT,            /* 0, 1, 2, ... */
    AVI_SUPPORT_GREY,             /* k / 255, k = 0, 1, ..., 255 */
    AVI_SUPPORT_LEVELS            /* avi_support_levels(K): 0, 1, ..., K - 1 */
} avi_support;
static inline avi_support avi_support_levels(int64_t levels) { return (avi_support)(AVI_SUPPORT_LEVELS + levels); }

/* What a source says about itself once open. */
typedef struct avi_shape {
    int64_t rows;            /* of the data set as given (after data.rows / data.test_rows) */
    int64_t width;           /* D, values of a row, or of an entry of a ragged one */
    int64_t height, columns; /* of an image: channels * height * columns = width; 1, D for plain rows */
    int64_t channels;        /* 0 and 1: one */
    bool channels_last;      /* a row is (height, columns, channels), else (channels, height, columns) */
    avi_dtype type;          /* as held in memory: AVI_U8 (value = byte * scale), AVI_F32 or AVI_F64 */
    double scale;            /* 1/255 for grey images, 1 else */
    bool ragged;             /* a row has any number of entries of `width` values; height is 1 */
} avi_shape;

typedef struct avi_source avi_source;

/* Lines of a source's key table, which every source has: a number of rows means something else for each, and what a
 * configuration says for one is not for another. */
#define AVI_ROWS_KEYS_FILE                                                                                             \
    {"data", "rows", AVI_KEY_INT, "0", 0, 1e15, NULL, "rows", "training rows to use, from the first; 0 = all"},        \
    {                                                                                                                  \
        "data", "test_rows", AVI_KEY_INT, "0", 0, 1e15, NULL, "rows", "test rows to use, from the first; 0 = all"      \
    }
#define AVI_ROWS_KEYS_DRAWN                                                                                            \
    {"data", "rows", AVI_KEY_INT, "0", 0, 1e15, NULL, "rows", "training rows to draw; 0 = 10000"},                     \
    {                                                                                                                  \
        "data", "test_rows", AVI_KEY_INT, "0", 0, 1e15, NULL, "rows",                                                  \
            "test rows to draw; 0 = 2000 (strokes), none (model)"                                                      \
    }

/* A line of what a source accepts, for the table of the README (avi_mpi --list=data). */
typedef struct avi_accepted {
    const char *what, *keys;
} avi_accepted;

typedef struct avi_source_ops {
    AVI_PLUGIN_FIELDS; /* keys: of section [data] */
    bool exchangeable; /* rows may be shuffled as far as the source knows */
    /* Collective, required. Opens the split and fills s->shape and s->self. A missing test split is AVI_OK with
     * shape.rows = 0. All ranks return the same status (agreed inside), with one message that names key, file and what
     * to use. */
    avi_status (*open)(avi_source *s, const avi_config *config, avi_comm *comm, avi_split split);
    /* Required. Given rows [first, first + count) into out (count, width) of shape.type; of ragged data entries [first,
     * first + count), row after row. Not collective when `any_rank` is true, as it must be of ragged data. When it is
     * false only rank 0 is asked, in ascending order without gaps. */
    avi_status (*read)(avi_source *s, int64_t first, int64_t count, void *out);
    bool any_rank;
    /* Optional; with it rows can be streamed, unless open sets s->sequential. The `count` rows that `given` lists, in
     * any order and as often as asked, into out (count, width) of shape.type: the bits that read gives, each row at its
     * own cost alone. On any rank, not collective, without allocating (count = 0 comes before the first step). */
    avi_status (*read_rows)(avi_source *s, const int64_t *given, int64_t count, void *out);
    void (*close)(avi_source *s); /* optional */
    const avi_accepted *accepts;  /* (accept_count), for people */
    int accept_count;
} avi_source_ops;

struct avi_source {
    const avi_source_ops *ops;
    avi_shape shape;
    void *self;      /* the source's own */
    uint64_t seed;   /* run.seed, for synthetic sources */
    char label[256]; /* for people: "MNIST images /data/train-images.gz" */
    /* Of a part of a data set: the row in it that row `row` of the part is; NULL: the same. For messages. Of ragged
     * data the stored row that an entry is. */
    int64_t (*row_in_file)(const avi_source *s, int64_t row);
    /* Set by open, of ragged data: (shape.rows + 1) the entries before each row, from 0; the same on all ranks,
     * borrowed. NULL: dense. */
    const int64_t *first_entry;
    bool sequential;   /* set by open: a row takes those before it, in spite of ops->read_rows */
    bool streamed;     /* data.storage, settled by avi_source_open */
    bool bits_or_grey; /* set by open: shape.scale is 1 after all where no value is above 1: bits, not grey values */
    char *const *column_name; /* set by open: (shape.width) names of the columns, borrowed; NULL: they have none */
    /* Set by open: names of given rows [first, first + count) into name[i], each of which the caller frees. On any
     * rank, not collective. Errors: DATA, INTERNAL. NULL: rows have no names. */
    avi_status (*row_names)(avi_source *s, int64_t first, int64_t count, char **name);
    bool may_be_turned;                       /* set by open: a table or images whose rows may be the other dimension */
    bool integers;                            /* set by open: stored as integers, whatever they become in memory */
    bool missing_allowed, log1p, standardise; /* data.missing = mask, data.transform, data.standardise; by
                                                 avi_source_open */
    const struct avi_data *like; /* to be set by who loads test rows: their scale and transform are those of these,
                                    borrowed; NULL: their own */
    char packing[96];            /* set by open: how stored numbers become values, for people; "": as they are */
    bool narrow;                 /* rows of AVI_F64 are held as AVI_F32: for who fetches single precision alone */
};

/* data.storage = auto holds up to this many bytes of rows (rows * width * bytes of a value, of a split on all ranks
 * together) and streams what is larger, where it can be streamed. */
#define AVI_STREAM_ABOVE INT64_C(1073741824)

/* Adds a data source to the registry. Errors: INTERNAL when a required entry is missing or the name is taken. */
AVI_API avi_status avi_source_register(avi_registry *registry, const avi_source_ops *ops);
/* The keys of section [data] that every source has. Not collective. */
avi_status avi_data_register_keys(avi_registry *registry);

/* Collective. Opens data.source for the split; reads data.* and run.seed. Owner: caller, avi_source_close.
 * Errors: those of the source's open; DATA when the training data have no rows; CONFIG for data.storage = stream of
 * rows that cannot be streamed. */
avi_status avi_source_open(const avi_config *config, avi_comm *comm, avi_split split, avi_source **source);
void avi_source_close(avi_source **source);
/* Not collective. Errors: DATA when the rows of the two splits differ in size. An empty test split matches all. */
avi_status avi_source_match(const avi_source *train, const avi_source *test);
/* Bytes of a row in memory, of ragged rows in the mean over all of them, with the number of its entries. Not
 * collective. */
double avi_source_row_bytes(const avi_source *s);
/* Not collective; for sources, once s->label says what is open: sets s->shape.rows from data.rows or data.test_rows of
 * the `available` ones. Errors: CONFIG when more are asked for than there are. */
AVI_API avi_status avi_source_take_rows(avi_source *s, const avi_config *config, avi_split split, int64_t available);

/* Not collective; first thing in main, before message passing starts. A source may start this program as a child that
 * looks at a file before the run opens it (src/hdf5/hdf5_probe.h): when this process is one, does that and ends it.
 * Without the call no child is started. */
void avi_data_child(int argc, char **argv);

/* ---- what the values are ---- */
typedef struct avi_place {
    int64_t row, column; /* as given, from 0 */
} avi_place;

/* By column, over the rows of the data: of all, or (`sampled`, of streamed ones) of up to 4096 rows spread evenly over
 * them. The same bits on any number of ranks. */
typedef struct avi_column_stats {
    int64_t columns, rows;
    bool sampled;
    double *smallest, *largest; /* (columns), of what is finite, as numbers: log1p(stored * scale) or stored * scale */
    double *mean, *sd;          /* (columns), of the same; sd with divisor n */
    int64_t *finite, *whole;    /* (columns): values that are finite; that are whole numbers (0 where scale is not 1) */
    int64_t missing, infinite;  /* values that are NaN; that are infinite */
    int64_t bad_rows;           /* rows with either */
    avi_place first_missing, first_infinite;
    int64_t *sums; /* private to column_stats.c */
} avi_column_stats;
/* Smallest and largest number of all columns. Not collective. */
void avi_column_stats_range(const avi_column_stats *stats, double *smallest, double *largest);

struct avi_row_stream; /* of streamed rows: private to the data floor (row_stream.h) */

/* The rows this rank owns, in order of position, with halo rows of the neighbours at both ends (fewer at the ends of
 * the data). */
typedef struct avi_data {
    avi_partition partition;
    avi_shape shape;      /* shape.rows counts every row; partition.rows = shape.rows - lookahead; type: as held */
    int lookahead;        /* 1: a model that explains row n + 1 from row n has one factor row fewer than rows */
    int64_t first, count; /* own positions [first, first + count) */
    int64_t halo_left, halo_right; /* rows held before and after them, already cut at the ends of the data */
    void *values;                  /* (halo_left + count + halo_right, width) of shape.type; of ragged data (entries of
                                      own rows, width); owned; NULL: streamed */
    int64_t *entry;                /* ragged: (count + 1) entries of `values` before each own row; owned; NULL: dense */
    int64_t entries;               /* ragged: of all rows of the data */
    struct avi_row_stream *feed;   /* owned; NULL: held */
    uint64_t checksum; /* of all rows in given order, independent of the number of ranks; 0: streamed, since it takes a
                          pass over all rows */
    /* Of data that can be streamed, held or not: a hash of what they are made from: source, label, seed, shape, and the
     * values of (at most) 64 rows spread over the data, in which the keys that the source reads show. 0: data that
     * cannot be streamed. */
    uint64_t origin;
    avi_column_stats *stats; /* owned */
    /* From numbers to what the model sees: (number - mean) / sd, NULL: the number. (width) each, owned. Where a column
     * has one value, sd is 1. */
    double *mean, *sd;
    bool log1p;  /* numbers are log(1 + stored * scale) */
    bool masked; /* NaN is a value that is missing: it is fetched as 0 */
} avi_data;

/* Stored rows of `count` consecutive positions that are held: `count`, of ragged data their entries. Not collective. */
int64_t avi_data_entries(const avi_data *data, int64_t position, int64_t count);

/* Collective. Reads (each rank its slab, or rank 0 all when the source is sequential), shuffles to owners, fetches halo
 * rows (lookahead rows included in the right halo), checks that every value is finite. `halo` needs an unshuffled
 * partition; ragged rows have no halo and no lookahead. Of a source that is to be streamed it reads the rows of the
 * origin alone; the source must then outlive the data. Errors: DATA (NaN or Inf: names the given row and column), IO,
 * INTERNAL (memory). Owner: caller, avi_data_destroy. */
avi_status avi_data_load(avi_source *source, avi_comm *comm, const avi_partition *partition, int lookahead, int halo,
                         avi_data **data);
void avi_data_destroy(avi_data **data);
/* Bytes held by this rank. */
int64_t avi_data_bytes(const avi_data *data);

/* Rows position + offset, ... of `count` consecutive positions as numbers (scaled): out is (count, width), of ragged
 * rows (avi_data_entries, width). Rows before the first or after the last of the data are the edge row. The rows asked
 * for must be held (own or halo) or streamed. Streamed rows that the source fails to give, or gives with a value that
 * is not finite, are NaN: what is computed from them is not finite, and who sees that asks avi_data_status. Not
 * collective. */
void avi_data_fetch_f32(const avi_data *data, int64_t position, int64_t count, float *out);
void avi_data_fetch_f64(const avi_data *data, int64_t position, int64_t count, double *out);
/* 1 where a value is there, 0 where it is missing, for the same rows: (count, width). Not collective. */
void avi_data_fetch_mask_f32(const avi_data *data, int64_t position, int64_t count, float *out);
void avi_data_fetch_mask_f64(const avi_data *data, int64_t position, int64_t count, double *out);
/* In place: `rows` rows of what the model sees (rows, width) become values in the units of the user's columns (stored *
 * scale): what standardising and log1p did is undone. Not collective. */
void avi_data_as_given(const avi_data *data, int64_t rows, double *values);
/* The same of one value of a column. */
double avi_data_value_as_given(const avi_data *data, int64_t column, double seen);
/* The part of all values that are there, 1 when none is missing. Not collective. */
double avi_data_observed(const avi_data *data);
/* What is to be added to the ELBO per row, in nats, for that of the values in the user's units: the mean over the rows
 * of the log Jacobian of the transform; 0 without one. Not collective. */
double avi_data_log_jacobian(const avi_data *data);
/* Collective. DATA unless all numbers are in what `support` says of their column; the message has row, column and
 * value, and `remedy`: "use model.likelihood = gaussian". */
avi_status avi_data_check_support(const avi_data *data, avi_comm *comm, const avi_source *source,
                                  avi_support (*support)(const void *context, int64_t column), const void *context,
                                  const char *remedy);
/* The first failure of a fetch on this rank, AVI_OK when there was none (always for held rows). To be agreed on before
 * ranks act on it. Not collective. */
avi_status avi_data_status(const avi_data *data);

#endif
