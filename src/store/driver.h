/*
 * What the drivers with threads of their own share: an operation goes to a pool as a job, is done
 * there by the driver's function, and answered on the loop.
 */
#ifndef QL_STORE_DRIVER_H
#define QL_STORE_DRIVER_H

#include "store/store.h"

struct ql_driver {
	struct ql_store store; /* first */
	struct ql_pool *writing; /* one thread */
	struct ql_pool *reading; /* may be the same pool */

	/* On a pool's thread. On -1 op->err is filled, and a read's results are dropped. */
	int (*commit)(struct ql_driver *driver, struct ql_store_commit *op);
	int (*read)(struct ql_driver *driver, struct ql_store_read *op, int thread);
};

/* For a driver's ops. */
void ql_driver_commit(struct ql_store *store, struct ql_store_commit *op);
void ql_driver_read(struct ql_store *store, struct ql_store_read *op);

/* Both pools; those that were never made are NULL. */
void ql_driver_stop(struct ql_driver *driver);

#endif
