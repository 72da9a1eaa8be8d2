#include "rules/meter.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define NONE "none"

const struct ql_metric_row ql_metric_rows[QL_METRIC_COUNT] = {
#define X(metric, kind, name, unit, labels, help) {QL_METRIC_##kind, name, unit, labels, help},
#include "rules/meter.def"
#undef X
};

const double ql_meter_bounds[QL_METER_BUCKETS] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
	0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800};

int
ql_metric_label_count(enum ql_metric metric)
{
	const char *labels = ql_metric_rows[metric].labels;
	int count = *labels != 0;
	for (; *labels; labels++)
		count += *labels == ',';
	return count;
}

static bool
is_series(const struct ql_meter_series *series, const char *const *labels, int count)
{
	for (int i = 0; i < count; i++) {
		const char *value = labels[i] ? labels[i] : NONE;
		if (strncmp(series->labels[i], value, QL_METER_TEXT - 1) != 0)
			return false;
	}
	return true;
}

static struct ql_meter_series *
find(const struct ql_meter *meter, enum ql_metric metric, const char *const *labels)
{
	const struct ql_meter_family *family = &meter->families[metric];
	int count = ql_metric_label_count(metric);
	for (size_t i = 0; i < family->count; i++) {
		if (is_series(&family->series[i], labels, count))
			return &family->series[i];
	}
	return NULL;
}

static struct ql_meter_series *
add_series(struct ql_meter_family *family, const char *const *labels, int count)
{
	struct ql_meter_series *grown =
		reallocarray(family->series, family->count + 1, sizeof(*grown));
	if (!grown)
		return NULL;
	family->series = grown;
	struct ql_meter_series *series = &grown[family->count++];
	*series = (struct ql_meter_series){0};
	for (int i = 0; i < count; i++)
		ql_str_copy(series->labels[i], QL_METER_TEXT, labels[i] ? labels[i] : NONE);
	return series;
}

/* The last place of a family is for all that has none of its own. */
static struct ql_meter_series *
need(struct ql_meter *meter, enum ql_metric metric, const char *const *labels)
{
	static const char *const other[QL_METER_LABELS] = {
		QL_METER_OTHER, QL_METER_OTHER, QL_METER_OTHER, QL_METER_OTHER};
	struct ql_meter_family *family = &meter->families[metric];
	struct ql_meter_series *series = find(meter, metric, labels);
	if (series)
		return series;
	if (family->count >= QL_METER_SERIES - 1) {
		labels = other;
		series = find(meter, metric, labels);
	}
	return series ? series : add_series(family, labels, ql_metric_label_count(metric));
}

void
ql_meter_init(struct ql_meter *meter)
{
	*meter = (struct ql_meter){0};
	for (int i = 0; i < QL_METRIC_COUNT; i++) {
		if (!ql_metric_rows[i].labels[0])
			(void)need(meter, (enum ql_metric)i, QL_NO_LABELS);
	}
}

void
ql_meter_done(struct ql_meter *meter)
{
	if (!meter)
		return;
	for (int i = 0; i < QL_METRIC_COUNT; i++)
		free(meter->families[i].series);
	*meter = (struct ql_meter){0};
}

void
ql_meter_add(struct ql_meter *meter, enum ql_metric metric, const char *const *labels, double value)
{
	struct ql_meter_series *series = meter ? need(meter, metric, labels) : NULL;
	if (series)
		series->value += value;
}

void
ql_meter_set(struct ql_meter *meter, enum ql_metric metric, const char *const *labels, double value)
{
	struct ql_meter_series *series = meter ? need(meter, metric, labels) : NULL;
	if (series)
		series->value = value;
}

void
ql_meter_observe(
	struct ql_meter *meter, enum ql_metric metric, const char *const *labels, double seconds)
{
	struct ql_meter_series *series = meter ? need(meter, metric, labels) : NULL;
	int at = 0;
	if (!series)
		return;
	while (at < QL_METER_BUCKETS && seconds > ql_meter_bounds[at])
		at++;
	series->buckets[at]++;
	series->count++;
	series->value += seconds;
}

double
ql_meter_value(const struct ql_meter *meter, enum ql_metric metric, const char *const *labels)
{
	const struct ql_meter_series *series = meter ? find(meter, metric, labels) : NULL;
	return series ? series->value : 0;
}
