/*
 * What is counted and measured for /metrics: one family for each row of meter.def, and in it a
 * series for each combination of label values that was seen. It is fed by what is durable, never
 * by what was merely accepted, and starts from zero with the server.
 *
 * Label values come from closed sets, or few: a family keeps QL_METER_SERIES of them, and what
 * comes after counts under "other" in each label.
 *
 * All functions take NULL for a meter, and do nothing then.
 */
#ifndef QL_RULES_METER_H
#define QL_RULES_METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QL_METER_LABELS 4
#define QL_METER_TEXT 64 /* bytes of a label's value, with its NUL; more is cut off */
#define QL_METER_SERIES 256 /* of one family */
#define QL_METER_BUCKETS 18
#define QL_METER_OTHER "other"

enum ql_metric {
#define X(metric, kind, name, unit, labels, help) QL_METRIC_##metric,
#include "rules/meter.def"
#undef X
	QL_METRIC_COUNT
};

enum ql_metric_kind { QL_METRIC_COUNTER, QL_METRIC_GAUGE, QL_METRIC_HISTOGRAM, QL_METRIC_KINDS };

struct ql_metric_row {
	enum ql_metric_kind kind;
	const char *name;
	const char *unit; /* "" = none */
	const char *labels; /* their names, comma-separated */
	const char *help;
};

extern const struct ql_metric_row ql_metric_rows[QL_METRIC_COUNT];

/* Upper bounds of a histogram's buckets, in seconds; one more has no bound. */
extern const double ql_meter_bounds[QL_METER_BUCKETS];

struct ql_meter_series {
	char labels[QL_METER_LABELS][QL_METER_TEXT];
	double value; /* a histogram's sum */
	uint64_t count; /* a histogram's observations */
	uint64_t buckets[QL_METER_BUCKETS + 1]; /* each its own alone */
};

struct ql_meter_family {
	struct ql_meter_series *series;
	size_t count;
};

struct ql_meter {
	struct ql_meter_family families[QL_METRIC_COUNT];
};

/* Zeroes a meter; families without labels have their one series from the start. */
void ql_meter_init(struct ql_meter *meter);
void ql_meter_done(struct ql_meter *meter);

/*
 * The values stand in the order of the family's labels: `QL_LABELS(mode, outcome)`; NULL is told as
 * "none". Out of memory for a new series, what it would have told is lost.
 */
#define QL_LABELS(...) ((const char *const[QL_METER_LABELS]){__VA_ARGS__})
#define QL_NO_LABELS QL_LABELS(NULL)
void ql_meter_add(
	struct ql_meter *meter, enum ql_metric metric, const char *const *labels, double value);
void ql_meter_set(
	struct ql_meter *meter, enum ql_metric metric, const char *const *labels, double value);
void ql_meter_observe(
	struct ql_meter *meter, enum ql_metric metric, const char *const *labels, double seconds);

/* The value now, for tests and whoever decides by it; 0 where there is no such series. */
double
ql_meter_value(const struct ql_meter *meter, enum ql_metric metric, const char *const *labels);

/* How many labels the family has. */
int ql_metric_label_count(enum ql_metric metric);

#endif
