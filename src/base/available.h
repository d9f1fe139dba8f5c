/* Memory that can still be had on this node. */
#ifndef AVI_BASE_AVAILABLE_H
#define AVI_BASE_AVAILABLE_H

/* Not collective. Bytes that this process and others may still take: the smallest of what the kernel has (MemAvailable)
 * and what the memory limits of the control groups of this process leave (version 1 and 2, every group up to the
 * root), each with the free swap. *by: the name of that limit, owned by the library. HUGE_VAL where nothing can be
 * read. root: "" for this machine; another folder in tests. */
double avi_memory_available(const char *root, const char **by);

#endif
