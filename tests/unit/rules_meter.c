#include "rules/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void
what_has_no_label_is_there_from_the_start(void **state)
{
	struct ql_meter meter;
	(void)state;
	ql_meter_init(&meter);
	for (int i = 0; i < QL_METRIC_COUNT; i++)
		assert_int_equal(
			meter.families[i].count, ql_metric_label_count((enum ql_metric)i) ? 0 : 1);
	assert_int_equal(ql_metric_label_count(QL_METRIC_CANCELLATIONS), 4);
	ql_meter_done(&meter);
}

static void
each_combination_is_a_series(void **state)
{
	struct ql_meter meter;
	(void)state;
	ql_meter_init(&meter);
	ql_meter_add(&meter, QL_METRIC_ATTEMPTS, QL_LABELS("failed", "oom"), 1);
	ql_meter_add(&meter, QL_METRIC_ATTEMPTS, QL_LABELS("failed", "exit"), 2);
	ql_meter_add(&meter, QL_METRIC_ATTEMPTS, QL_LABELS("failed", "oom"), 1);
	ql_meter_add(&meter, QL_METRIC_ATTEMPTS, QL_LABELS("succeeded", NULL), 5);
	assert_int_equal(meter.families[QL_METRIC_ATTEMPTS].count, 3);
	assert_true(ql_meter_value(&meter, QL_METRIC_ATTEMPTS, QL_LABELS("failed", "oom")) == 2);
	assert_true(
		ql_meter_value(&meter, QL_METRIC_ATTEMPTS, QL_LABELS("succeeded", "none")) == 5);
	assert_true(ql_meter_value(&meter, QL_METRIC_ATTEMPTS, QL_LABELS("failed", "lost")) == 0);
	ql_meter_done(&meter);
}

static void
a_gauge_is_what_was_set_last(void **state)
{
	struct ql_meter meter;
	(void)state;
	ql_meter_init(&meter);
	ql_meter_set(&meter, QL_METRIC_QUEUE_DEPTH, QL_NO_LABELS, 7);
	ql_meter_set(&meter, QL_METRIC_QUEUE_DEPTH, QL_NO_LABELS, 3);
	assert_true(ql_meter_value(&meter, QL_METRIC_QUEUE_DEPTH, QL_NO_LABELS) == 3);
	ql_meter_done(&meter);
}

static void
a_bound_belongs_to_its_bucket(void **state)
{
	struct ql_meter meter;
	(void)state;
	ql_meter_init(&meter);
	ql_meter_observe(&meter, QL_METRIC_COMMIT, QL_NO_LABELS, 0);
	ql_meter_observe(&meter, QL_METRIC_COMMIT, QL_NO_LABELS, 0.001);
	ql_meter_observe(&meter, QL_METRIC_COMMIT, QL_NO_LABELS, 0.0011);
	ql_meter_observe(&meter, QL_METRIC_COMMIT, QL_NO_LABELS, 1e6);
	const struct ql_meter_series *series = meter.families[QL_METRIC_COMMIT].series;
	assert_int_equal(series->count, 4);
	assert_int_equal(series->buckets[0], 1);
	assert_int_equal(series->buckets[1], 1);
	assert_int_equal(series->buckets[2], 1);
	assert_int_equal(series->buckets[QL_METER_BUCKETS], 1);
	ql_meter_done(&meter);
}

static void
labels_are_bounded_and_nothing_is_lost(void **state)
{
	struct ql_meter meter;
	char name[200];
	(void)state;
	ql_meter_init(&meter);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "policy-%d", i);
		ql_meter_add(&meter, QL_METRIC_CANCELLATIONS,
			QL_LABELS("kill", "killed", "policy", name), 1);
	}
	const struct ql_meter_family *family = &meter.families[QL_METRIC_CANCELLATIONS];
	double sum = 0;
	for (size_t i = 0; i < family->count; i++)
		sum += family->series[i].value;
	assert_int_equal(family->count, QL_METER_SERIES);
	assert_true(sum == 1000);
	assert_true(ql_meter_value(&meter, QL_METRIC_CANCELLATIONS,
			    QL_LABELS("other", "other", "other", "other")) ==
		    1000 - (QL_METER_SERIES - 1));
	ql_meter_done(&meter);
}

static void
a_long_value_is_cut_and_found_again(void **state)
{
	struct ql_meter meter;
	char name[200] = "";
	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	ql_meter_init(&meter);
	for (int i = 0; i < 2; i++)
		ql_meter_add(&meter, QL_METRIC_REFUSALS, QL_LABELS(name), 1);
	assert_int_equal(meter.families[QL_METRIC_REFUSALS].count, 1);
	assert_int_equal(
		strlen(meter.families[QL_METRIC_REFUSALS].series[0].labels[0]), QL_METER_TEXT - 1);
	ql_meter_done(&meter);
}

static void
without_a_meter_nothing_happens(void **state)
{
	(void)state;
	ql_meter_add(NULL, QL_METRIC_CHANGES, QL_NO_LABELS, 1);
	ql_meter_set(NULL, QL_METRIC_READY, QL_NO_LABELS, 1);
	ql_meter_observe(NULL, QL_METRIC_LAG, QL_NO_LABELS, 1);
	assert_true(ql_meter_value(NULL, QL_METRIC_CHANGES, QL_NO_LABELS) == 0);
	ql_meter_done(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_has_no_label_is_there_from_the_start),
		cmocka_unit_test(each_combination_is_a_series),
		cmocka_unit_test(a_gauge_is_what_was_set_last),
		cmocka_unit_test(a_bound_belongs_to_its_bucket),
		cmocka_unit_test(labels_are_bounded_and_nothing_is_lost),
		cmocka_unit_test(a_long_value_is_cut_and_found_again),
		cmocka_unit_test(without_a_meter_nothing_happens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
