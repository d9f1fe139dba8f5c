#include "avi/partition.h"

/* Products of two row counts do not fit 64 bits. */
__extension__ typedef __int128 wide;

/* floor(index * whole / parts): where part `index` begins when `whole` things are cut into `parts` runs. */
static int64_t share_first(int64_t whole, int64_t parts, int64_t index)
{
    return (int64_t)((wide)index * whole / parts);
}

/* The part that holds `item`: the largest k with floor(k whole / parts) <= item. Such a part is never an empty one. */
static int64_t share_of(int64_t whole, int64_t parts, int64_t item)
{
    return (int64_t)((((wide)item + 1) * parts - 1) / whole);
}

static int64_t min_i64(int64_t a, int64_t b) { return a < b ? a : b; }

avi_status avi_partition_make(int64_t rows, int64_t tile, int64_t lanes, int ranks, uint64_t seed, bool shuffled,
                              avi_partition *out)
{
    if (rows < 1 || tile < 1 || lanes < 1 || ranks < 1)
        return avi_fail(AVI_ERR_INTERNAL,
                        "partition of %lld rows, tile %lld, %lld lanes, %d ranks: each must be at least 1",
                        (long long)rows, (long long)tile, (long long)lanes, ranks);
    const int64_t tiles = (rows - 1) / tile + 1;
    *out = (avi_partition){.rows = rows,
                           .tile = tile,
                           .tiles = tiles,
                           .lanes = min_i64(lanes, tiles),
                           .ranks = ranks,
                           .seed = seed,
                           .shuffled = shuffled};
    if (shuffled) out->permutation = avi_permutation_make(seed, AVI_DRAW_SHUFFLE, 0, (uint64_t)rows);
    return AVI_OK;
}

int64_t avi_partition_first_lane(const avi_partition *p, int rank) { return share_first(p->lanes, p->ranks, rank); }

int64_t avi_partition_first_tile(const avi_partition *p, int64_t lane) { return share_first(p->tiles, p->lanes, lane); }

int64_t avi_partition_first_row(const avi_partition *p, int rank)
{
    return avi_partition_tile_first(p, avi_partition_first_tile(p, avi_partition_first_lane(p, rank)));
}

int avi_partition_owner(const avi_partition *p, int64_t position)
{
    const int64_t lane = share_of(p->tiles, p->lanes, position / p->tile);
    return (int)share_of(p->lanes, p->ranks, lane);
}

/* tile = T gives N: the end of the last tile, which may be short. */
int64_t avi_partition_tile_first(const avi_partition *p, int64_t tile)
{
    return tile >= p->tiles ? p->rows : tile * p->tile;
}

int64_t avi_partition_tile_rows(const avi_partition *p, int64_t tile)
{
    return avi_partition_tile_first(p, tile + 1) - avi_partition_tile_first(p, tile);
}

int64_t avi_partition_original(const avi_partition *p, int64_t position)
{
    return p->shuffled ? (int64_t)avi_permute(&p->permutation, (uint64_t)position) : position;
}

void avi_partition_originals(const avi_partition *p, int64_t first, int64_t count, int64_t *out)
{
    if (p->shuffled)
        avi_permute_run(&p->permutation, false, (uint64_t)first, count, out);
    else
        for (int64_t i = 0; i < count; i++) out[i] = first + i;
}

int64_t avi_partition_shuffled(const avi_partition *p, int64_t given)
{
    return p->shuffled ? (int64_t)avi_permute_inverse(&p->permutation, (uint64_t)given) : given;
}

int64_t avi_partition_epoch_steps(const avi_partition *p) { return (p->tiles - 1) / p->lanes + 1; }

double avi_partition_step_rows(const avi_partition *p)
{
    return (double)p->rows / (double)avi_partition_epoch_steps(p);
}

int64_t avi_partition_step_tile(const avi_partition *p, int64_t lane, int64_t epoch, int64_t index)
{
    const int64_t first = avi_partition_first_tile(p, lane);
    const int64_t count = avi_partition_first_tile(p, lane + 1) - first;
    if (index < 0 || index >= count) return -1;
    if (count == 1) return first;
    const avi_permutation order =
        avi_permutation_make(p->seed, AVI_DRAW_ORDER, avi_mix64((uint64_t)epoch, (uint64_t)lane), (uint64_t)count);
    return first + (int64_t)avi_permute(&order, (uint64_t)index);
}

int64_t avi_slab_first(int64_t rows, int ranks, int rank) { return share_first(rows, ranks, rank); }
