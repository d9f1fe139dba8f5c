/* What a node of the doubly reparameterized gradient knows: dreg.c and its kernels (k_dreg.c). */
#ifndef AVI_GRAPH_DREG_H
#define AVI_GRAPH_DREG_H

#include "avi/tape.h"

struct avi_dreg {
    avi_node *log_weight; /* (B*S, 1), once it is known */
    int draws;            /* S */
};

#endif
