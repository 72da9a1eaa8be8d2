/* The store's bounds, each once. */
#ifndef QL_STORE_LIMITS_H
#define QL_STORE_LIMITS_H

#define QL_STORE_READERS 3 /* reads that run at once; the others wait in order */
#define QL_STORE_SCAN_MAX 10000 /* records of one read, but for LIVE; also where limit is 0 */

/*
 * What selects no more than so many rows by an index of its own is looked up row by row; for more, all
 * rows are read through, which is faster from about a tenth of them on.
 */
#define QL_STORE_LOOKUPS_MAX 20000

/* A count goes through no more than so many of a label one by one; beyond, through all rows. */
#define QL_STORE_LABELLED_MAX 250000

#define QL_STORE_REPLAY_MS (24 * 3600 * 1000LL) /* an Idempotency-Key is kept for so long */
#define QL_STORE_REFUSALS_MAX 100000 /* refused stops kept; the oldest go first */

#define QL_STORE_OBJECT_ID 128 /* bytes of an object's id */
#define QL_STORE_OBJECT_BYTES (1 << 20) /* and of its text */
#define QL_STORE_AUDIT_BYTES (16 << 10) /* of the text of an audit row */

#define QL_STORE_BUSY_MS 2000 /* wait for another process's lock, then fail */
#define QL_STORE_WRITER_CACHE_KIB 8192 /* page cache of the writing connection */
#define QL_STORE_READER_CACHE_KIB 2048 /* and of each reading one */
#define QL_STORE_CHECK_BYTES (16 << 20) /* a database up to this size is checked as a whole */

#define QL_STORE_LOG_BYTES (32 << 20) /* what is kept of the log's file when it begins anew */

/*
 * The write-ahead log is copied into the database by a thread of its own once it has so many
 * pages; where that one can't keep up, the writer does it too once it has the second number.
 */
#define QL_STORE_WAL_PAGES 4000
#define QL_STORE_WAL_PAGES_MAX 32000

#endif
