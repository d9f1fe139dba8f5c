/* Plug-ins at run time. A shared object that [run] plugins names adds models, inference functions, families,
 * objectives, optimizers and data sources to those that are built in. It is compiled against the installed headers
 * alone:
 *
 *     #include "avi/plugin.h"
 *
 *     static const avi_model_ops mine = {.name = "mine", .doc = "...", .create = create, .log_likelihood = ...};
 *     static avi_status add(avi_registry *registry) { return avi_model_register(registry, &mine); }
 *     AVI_PLUGIN(add)
 *
 *     cc -shared -fPIC -O2 $(pkg-config --cflags avi) mine.c -o libmine.so
 *     avi_mpi run.plugins=./libmine.so --list
 *
 * It is not linked with the library: the program that loads it has the functions. inputs/examples has three of them. */
#ifndef AVI_PLUGIN_H
#define AVI_PLUGIN_H

#include "avi/config.h"
#include "avi/data.h"
#include "avi/family.h"
#include "avi/infer.h"
#include "avi/model.h"
#include "avi/nn.h"
#include "avi/objective.h"
#include "avi/optim.h"
#include "avi/param.h"
#include "avi/registry.h"
#include "avi/rng.h"
#include "avi/status.h"
#include "avi/tape.h"

#include <stdint.h>

/* The interface between a plug-in and the program that loads it. Raised when a function or an entry of a table changes
 * what it takes or means. Types that change their size are found by themselves. */
#define AVI_ABI 1

/* Every type whose layout the two must agree on. */
#define AVI_ABI_TYPES(X)                                                                                               \
    X(avi_key)                                                                                                         \
    X(avi_plugin)                                                                                                      \
    X(avi_shape)                                                                                                       \
    X(avi_source)                                                                                                      \
    X(avi_source_ops)                                                                                                  \
    X(avi_block)                                                                                                       \
    X(avi_params)                                                                                                      \
    X(avi_node)                                                                                                        \
    X(avi_custom_op)                                                                                                   \
    X(avi_batch)                                                                                                       \
    X(avi_model)                                                                                                       \
    X(avi_model_ops)                                                                                                   \
    X(avi_feature_shape)                                                                                               \
    X(avi_infer)                                                                                                       \
    X(avi_infer_ops)                                                                                                   \
    X(avi_network)                                                                                                     \
    X(avi_convolutions)                                                                                                \
    X(avi_family)                                                                                                      \
    X(avi_family_ops)                                                                                                  \
    X(avi_terms)                                                                                                       \
    X(avi_objective)                                                                                                   \
    X(avi_objective_ops)                                                                                               \
    X(avi_optim)                                                                                                       \
    X(avi_optim_ops)                                                                                                   \
    X(avi_optim_update)                                                                                                \
    X(avi_stream)

enum {
#define AVI_ABI_COUNT(type) AVI_ABI_AT_##type,
    AVI_ABI_TYPES(AVI_ABI_COUNT)
#undef AVI_ABI_COUNT
        AVI_ABI_SIZES
};

/* What a shared object shows. The first two fields keep their place whatever the ABI is. */
typedef struct avi_plugin_entry {
    char mark[8]; /* AVI_PLUGIN_MARK */
    int32_t abi;  /* AVI_ABI of the headers that it was compiled with */
    int32_t sizes;
    const uint32_t *size; /* (sizes): bytes of each of AVI_ABI_TYPES */
    /* Adds what the shared object has, with avi_model_register and its like. Not collective: called once on every rank.
     * Tables and their keys must stay where they are (static). */
    avi_status (*add)(avi_registry *registry);
} avi_plugin_entry;

#define AVI_PLUGIN_MARK   "avi_mpi"
#define AVI_PLUGIN_SYMBOL "avi_plugin_entry_of_file"

/* Once in a shared object, with its function `add`. */
#define AVI_PLUGIN(add_function)                                                                                       \
    static const uint32_t avi_plugin_sizes[] = {AVI_ABI_TYPES(AVI_ABI_SIZE)};                                          \
    extern AVI_API const avi_plugin_entry avi_plugin_entry_of_file;                                                    \
    const avi_plugin_entry avi_plugin_entry_of_file = {AVI_PLUGIN_MARK, AVI_ABI, AVI_ABI_SIZES, avi_plugin_sizes,      \
                                                       add_function};
#define AVI_ABI_SIZE(type) (uint32_t)sizeof(type),

#endif
