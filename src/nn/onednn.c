#include "nn/onednn.h"

#if !defined(AVI_ONEDNN)

avi_onednn *avi_onednn_of(const avi_convolution *c, bool transposed)
{
    (void)c, (void)transposed;
    return NULL;
}

void avi_onednn_to_small(avi_onednn *o, int64_t rows, const void *weight, const void *image, void *small)
{
    (void)o, (void)rows, (void)weight, (void)image, (void)small;
}

void avi_onednn_to_image(avi_onednn *o, int64_t rows, const void *weight, const void *small, void *image)
{
    (void)o, (void)rows, (void)weight, (void)small, (void)image;
}

void avi_onednn_to_weights(avi_onednn *o, int64_t rows, const void *image, const void *small, bool fresh, void *weight)
{
    (void)o, (void)rows, (void)image, (void)small, (void)fresh, (void)weight;
}

void avi_onednn_use(bool use) { (void)use; }

const char *avi_onednn_library(void) { return "none: the BLAS has the convolutions"; }

#else

#include "avi/comm.h"
#include "nn/onednn_api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TO_SMALL,
    TO_IMAGE,
    TO_WEIGHTS,
    PASSES,
    ROWS = 4,           /* of images at a time */
    LEAST_CHANNELS = 16 /* on either side: with fewer the gradients of oneDNN 3 are slower than GEMM */
};

/* A matrix of one of oneDNN's passes, in the layout that the pass likes, and the way there or back. */
typedef struct weights {
    dnnl_memory_t memory;
    dnnl_primitive_t reorder;
    float *values;
    int64_t count; /* with padding */
} weights;

struct avi_onednn {
    avi_convolution c;
    bool transposed, usable;
    avi_onednn *next;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t pass[PASSES];
    weights weight[PASSES];
    dnnl_memory_t image, small, plain; /* of the caller, or of the rooms below */
    dnnl_memory_t images, smalls;      /* AVI_ONEDNN_WEIGHTS rows of the caller */
    float *image_room, *small_room;    /* ROWS of them */
    float *sum, *plain_room;           /* of gradients of weights: as the pass has them, and as the caller does */
};

static avi_onednn *made; /* every convolution that was asked for */
static bool used = true;

void avi_onednn_use(bool use) { used = use; }

static void must(dnnl_status_t status, const char *what)
{
    if (status != dnnl_success)
        avi_comm_abort(avi_fail(AVI_ERR_INTERNAL, "oneDNN cannot %s (status %d)", what, (int)status));
}

/* ---- which convolutions, and by which code ---- */

static bool is_for_onednn(const avi_convolution *c)
{
    const avi_view *v = &c->image;
    return v->planes == 1 && v->channel_stride == 1 && v->column_stride == v->channels &&
           v->row_stride == v->width * v->channels && v->channels >= LEAST_CHANNELS && c->channels >= LEAST_CHANNELS;
}

/* With more than one thread ranks would fight for cores. OpenMP takes one in this process (base/blas.h); what else
 * oneDNN may be built for cannot be told. */
static bool is_one_thread(void)
{
    const unsigned runtime = dnnl_version()->cpu_runtime;
    return runtime == DNNL_RUNTIME_SEQ || runtime == DNNL_RUNTIME_OMP;
}

/* Code that was written for this processor. What is not is GEMM again, or one value at a time. */
static bool is_fast(const_dnnl_primitive_desc_t pd)
{
    const char *name = NULL;
    if (!pd || dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name) != dnnl_success || !name) return false;
    return (strstr(name, "jit") || strstr(name, "brg")) && !strstr(name, "gemm");
}

static bool describe(const avi_onednn *o, int64_t rows, dnnl_format_tag_t weight, onednn_convolution *d)
{
    const avi_convolution *c = &o->c;
    const dnnl_dims_t image = {rows, c->image.channels, c->image.height, c->image.width},
                      small = {rows, c->channels, c->height, c->width},
                      kernel = {c->channels, c->image.channels, c->kernel_height, c->kernel_width};
    *d = (onednn_convolution){
        .engine = o->engine, .stride = {c->stride_height, c->stride_width}, .left = {c->pad_height, c->pad_width}};
    d->right[0] = (c->height - 1) * c->stride_height + c->kernel_height - c->image.height - c->pad_height;
    d->right[1] = (c->width - 1) * c->stride_width + c->kernel_width - c->image.width - c->pad_width;
    if (!onednn_layout_make(&d->image, image, dnnl_nhwc)) return false;
    if (onednn_layout_make(&d->small, small, dnnl_nhwc)) {
        if (onednn_layout_make(&d->weight, kernel, weight)) return true;
        onednn_layout_free(&d->small);
    }
    onednn_layout_free(&d->image);
    return false;
}

static void free_description(onednn_convolution *d)
{
    onednn_layout_free(&d->image);
    onednn_layout_free(&d->small);
    onednn_layout_free(&d->weight);
}

/* ---- making one ---- */

static float *room(int64_t values)
{
    float *v = calloc((size_t)values, sizeof *v);
    if (!v) avi_comm_abort(avi_fail_memory((size_t)values * sizeof *v, "a convolution"));
    return v;
}

static dnnl_memory_t memory_at(const avi_onednn *o, onednn_layout_of layout, void *at)
{
    dnnl_memory_t m;
    must(dnnl_memory_create(&m, layout, o->engine, at), "describe memory");
    return m;
}

/* Weights in the layout of the pass, and the primitive that brings them there (back, for their gradient). */
static void make_weights(avi_onednn *o, int pass, const_dnnl_primitive_desc_t pd, onednn_layout_of plain)
{
    weights *w = &o->weight[pass];
    const onednn_layout_of layout = dnnl_primitive_desc_query_md(
        pd, dnnl_query_exec_arg_md, pass == TO_WEIGHTS ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS);
    dnnl_primitive_desc_t reorder;
    w->count = (int64_t)(dnnl_memory_desc_get_size(layout) / sizeof(float));
    w->values = room(w->count);
    w->memory = memory_at(o, layout, w->values);
    must(pass == TO_WEIGHTS ? dnnl_reorder_primitive_desc_create(&reorder, layout, o->engine, plain, o->engine, NULL)
                            : dnnl_reorder_primitive_desc_create(&reorder, plain, o->engine, layout, o->engine, NULL),
         "describe weights");
    must(dnnl_primitive_create(&w->reorder, reorder), "reorder weights");
    dnnl_primitive_desc_destroy(reorder);
}

static void make_rooms(avi_onednn *o, const onednn_convolution *plain, const onednn_convolution *plain_of_many)
{
    o->image_room = room(ROWS * avi_view_values(&o->c.image));
    o->small_room = room(ROWS * avi_convolution_values(&o->c));
    o->plain_room = room(o->c.channels * avi_convolution_patch(&o->c));
    o->sum = room(o->weight[TO_WEIGHTS].count);
    o->image = memory_at(o, ONEDNN_LAYOUT(plain->image), o->image_room);
    o->small = memory_at(o, ONEDNN_LAYOUT(plain->small), o->small_room);
    o->plain = memory_at(o, ONEDNN_LAYOUT(plain->weight), o->plain_room);
    o->images = memory_at(o, ONEDNN_LAYOUT(plain_of_many->image), NULL);
    o->smalls = memory_at(o, ONEDNN_LAYOUT(plain_of_many->small), NULL);
}

/* False where oneDNN may not write code, as a system forbids that lets no memory be both written and executed: then it
 * forbids it on all ranks. Memory that is short on one of them ends the job. */
static bool make_pass(avi_onednn *o, int pass, const_dnnl_primitive_desc_t pd)
{
    const dnnl_status_t status = dnnl_primitive_create(&o->pass[pass], pd);
    if (status == dnnl_out_of_memory) must(status, "make a convolution");
    return status == dnnl_success;
}

/* The passes, where oneDNN has fast code for all of them. d: with layouts of weights that it may choose, of few rows
 * and of many; plain: with those of the caller. */
static void make_passes(avi_onednn *o, onednn_convolution *d, const onednn_convolution *plain)
{
    dnnl_primitive_desc_t pd[PASSES] = {onednn_forward(&d[0])}, hint = onednn_forward(&d[1]);
    if (pd[TO_SMALL]) pd[TO_IMAGE] = onednn_by_image(&d[0], pd[TO_SMALL]);
    if (hint) pd[TO_WEIGHTS] = onednn_by_weight(&d[1], hint);
    o->usable = is_fast(pd[TO_SMALL]) && is_fast(pd[TO_IMAGE]) && is_fast(pd[TO_WEIGHTS]);
    for (int i = 0; o->usable && i < PASSES; i++) {
        o->usable = make_pass(o, i, pd[i]);
        if (o->usable) make_weights(o, i, pd[i], ONEDNN_LAYOUT(plain->weight));
    }
    if (o->usable) make_rooms(o, &plain[0], &plain[1]);
    for (int i = 0; i < PASSES; i++)
        if (pd[i]) dnnl_primitive_desc_destroy(pd[i]);
    if (hint) dnnl_primitive_desc_destroy(hint);
}

static void make(avi_onednn *o)
{
    enum { FEW, MANY, FEW_PLAIN, MANY_PLAIN, ALL };
    const dnnl_format_tag_t plain = o->transposed ? dnnl_hwio : dnnl_ohwi;
    onednn_convolution d[ALL];
    int described = 0;
    must(dnnl_engine_create(&o->engine, dnnl_cpu, 0), "start");
    must(dnnl_stream_create(&o->stream, o->engine, dnnl_stream_default_flags), "start");
    while (described < ALL && describe(o, described % 2 ? AVI_ONEDNN_WEIGHTS : ROWS,
                                       described < FEW_PLAIN ? dnnl_format_tag_any : plain, &d[described]))
        described++;
    if (described == ALL) make_passes(o, &d[FEW], &d[FEW_PLAIN]);
    while (described > 0) free_description(&d[--described]);
}

static bool is_same(const avi_convolution *a, const avi_convolution *b)
{
    return a->image.channels == b->image.channels && a->image.height == b->image.height &&
           a->image.width == b->image.width && a->channels == b->channels && a->height == b->height &&
           a->width == b->width && a->kernel_height == b->kernel_height && a->kernel_width == b->kernel_width &&
           a->stride_height == b->stride_height && a->stride_width == b->stride_width &&
           a->pad_height == b->pad_height && a->pad_width == b->pad_width;
}

avi_onednn *avi_onednn_of(const avi_convolution *c, bool transposed)
{
    if (!used || !is_one_thread() || !is_for_onednn(c)) return NULL;
    avi_onednn *o = made;
    while (o && !(o->transposed == transposed && is_same(&o->c, c))) o = o->next;
    if (!o) {
        o = calloc(1, sizeof *o);
        if (!o) avi_comm_abort(avi_fail_memory(sizeof *o, "a convolution"));
        *o = (avi_onednn){.c = *c, .transposed = transposed, .next = made};
        made = o;
        make(o);
    }
    return o->usable ? o : NULL;
}

/* ---- using it ---- */

static void execute(const avi_onednn *o, dnnl_primitive_t p, int count, const dnnl_exec_arg_t *arguments)
{
    must(dnnl_primitive_execute(p, o->stream, count, arguments), "run");
    must(dnnl_stream_wait(o->stream), "run");
}

static void point(dnnl_memory_t m, const void *at)
{
    must(dnnl_memory_set_data_handle(m, (void *)(uintptr_t)at), "point");
}

/* Rows from r: where they lie, or where too few are left in the room. What rows of before lie behind them there is of
 * no effect on them. */
static void give(dnnl_memory_t m, int64_t r, int64_t rows, int64_t values, const float *from, float *at)
{
    if (rows - r >= ROWS) {
        point(m, from + r * values);
        return;
    }
    memcpy(at, from + r * values, (size_t)((rows - r) * values) * sizeof *at);
    point(m, at);
}

/* Rows from r of what a pass has left in the room, to those of the caller. */
static void take(int64_t r, int64_t rows, int64_t values, const float *restrict room, float *restrict to)
{
    const int64_t n = (rows - r < ROWS ? rows - r : ROWS) * values;
    for (int64_t i = 0; i < n; i++) to[r * values + i] += room[i];
}

static void add(int64_t n, const float *restrict from, float *restrict to)
{
    for (int64_t i = 0; i < n; i++) to[i] += from[i];
}

static void reorder(const avi_onednn *o, int pass, dnnl_memory_t from, dnnl_memory_t to)
{
    execute(o, o->weight[pass].reorder, 2, (dnnl_exec_arg_t[]){{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
}

static void bring_weights(const avi_onednn *o, int pass, const void *weight)
{
    point(o->plain, weight);
    reorder(o, pass, o->plain, o->weight[pass].memory);
}

void avi_onednn_to_small(avi_onednn *o, int64_t rows, const void *weight, const void *image, void *small)
{
    const dnnl_exec_arg_t a[] = {
        {DNNL_ARG_SRC, o->image}, {DNNL_ARG_WEIGHTS, o->weight[TO_SMALL].memory}, {DNNL_ARG_DST, o->small}};
    bring_weights(o, TO_SMALL, weight);
    point(o->small, o->small_room);
    for (int64_t r = 0; r < rows; r += ROWS) {
        give(o->image, r, rows, avi_view_values(&o->c.image), image, o->image_room);
        execute(o, o->pass[TO_SMALL], 3, a);
        take(r, rows, avi_convolution_values(&o->c), o->small_room, small);
    }
}

void avi_onednn_to_image(avi_onednn *o, int64_t rows, const void *weight, const void *small, void *image)
{
    const dnnl_exec_arg_t a[] = {
        {DNNL_ARG_DIFF_DST, o->small}, {DNNL_ARG_WEIGHTS, o->weight[TO_IMAGE].memory}, {DNNL_ARG_DIFF_SRC, o->image}};
    bring_weights(o, TO_IMAGE, weight);
    point(o->image, o->image_room);
    for (int64_t r = 0; r < rows; r += ROWS) {
        give(o->small, r, rows, avi_convolution_values(&o->c), small, o->small_room);
        execute(o, o->pass[TO_IMAGE], 3, a);
        take(r, rows, avi_view_values(&o->c.image), o->image_room, image);
    }
}

void avi_onednn_to_weights(avi_onednn *o, int64_t rows, const void *image, const void *small, bool fresh, void *weight)
{
    const weights *w = &o->weight[TO_WEIGHTS];
    const dnnl_exec_arg_t a[] = {
        {DNNL_ARG_SRC, o->images}, {DNNL_ARG_DIFF_DST, o->smalls}, {DNNL_ARG_DIFF_WEIGHTS, w->memory}};
    memset(o->sum, 0, (size_t)w->count * sizeof *o->sum);
    for (int64_t r = 0; r < rows; r += AVI_ONEDNN_WEIGHTS) {
        point(o->images, (const float *)image + r * avi_view_values(&o->c.image));
        point(o->smalls, (const float *)small + r * avi_convolution_values(&o->c));
        execute(o, o->pass[TO_WEIGHTS], 3, a);
        add(w->count, w->values, o->sum);
    }
    memcpy(w->values, o->sum, (size_t)w->count * sizeof *w->values);
    point(o->plain, fresh ? weight : o->plain_room);
    reorder(o, TO_WEIGHTS, w->memory, o->plain);
    if (!fresh) add(o->c.channels * avi_convolution_patch(&o->c), o->plain_room, weight);
}

const char *avi_onednn_library(void)
{
    static char text[64]; /* the same at every call */
    const dnnl_version_t *v = dnnl_version();
    snprintf(text, sizeof text, "%d.%d.%d", v->major, v->minor, v->patch);
    return text;
}

#endif
