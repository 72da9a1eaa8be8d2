/*
 * GET /metrics: OpenMetrics, or the older text format of Prometheus for who asks for that alone.
 * Everything that it tells is a row of rules/meter.def.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/hooks/hook.h"
#include "http/inside.h"
#include "http/route.h"

#define OPENMETRICS "application/openmetrics-text"
#define TEXT "text/plain"

/* ---- what is so at this moment ---- */

static void
set_dependency(struct ql_meter *meter, const struct ql_dependency *dependency)
{
	for (int state = 0; state < QL_BREAKER_STATES; state++)
		ql_meter_set(meter, QL_METRIC_DEPENDENCY,
			QL_LABELS(dependency->name, ql_breaker_word((enum ql_breaker_state)state)),
			(int)dependency->state == state);
	if (dependency->backlog >= 0)
		ql_meter_set(meter, QL_METRIC_BACKLOG, QL_LABELS(dependency->name),
			(double)dependency->backlog);
}

static void
set_census(struct ql_meter *meter, const struct ql_engine *engine)
{
	static const enum ql_status live[] = {
		QL_STATUS_RUNNING, QL_STATUS_CANCELLING, QL_STATUS_UNCONFIRMED};
	struct ql_census census;
	ql_engine_census(engine, &census);
	int64_t age = census.oldest_stop_at ? ql_engine_now(engine) - census.oldest_stop_at : 0;
	ql_meter_set(meter, QL_METRIC_OLDEST_STOP, QL_NO_LABELS, (double)age / 1000);
	for (size_t i = 0; i < sizeof(live) / sizeof(*live); i++)
		ql_meter_set(meter, QL_METRIC_LIVE, QL_LABELS(ql_status_word(live[i])),
			(double)census.statuses[live[i]]);
}

static void
set_hooks(struct ql_meter *meter, const struct ql_engine *engine)
{
	static const char *const states[] = {"ok", "failing", "disabled"};
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
		const struct ql_hook_view *view = NULL;
		int count = 0;
		while ((view = ql_engine_hook_next(engine, view)))
			count += !strcmp(ql_hook_state(&view->hook, view->failures), states[i]);
		ql_meter_set(meter, QL_METRIC_HOOKS, QL_LABELS(states[i]), count);
	}
}

static void
set_gauges(struct ql_meter *meter, const struct ql_engine *engine)
{
	struct ql_health health;
	ql_engine_health(engine, &health);
	set_census(meter, engine);
	set_hooks(meter, engine);
	ql_meter_set(meter, QL_METRIC_QUEUE_DEPTH, QL_NO_LABELS, (double)health.queued);
	ql_meter_set(meter, QL_METRIC_SLOTS, QL_LABELS("used"), health.slots_used);
	ql_meter_set(meter, QL_METRIC_SLOTS, QL_LABELS("free"), health.slots - health.slots_used);
	ql_meter_set(meter, QL_METRIC_READY, QL_NO_LABELS, health.ready && health.store_ok);
	ql_meter_set(meter, QL_METRIC_BUILD, QL_LABELS(QL_VERSION), 1);
	if (health.runtime_name)
		set_dependency(meter, &health.runtime);
	for (size_t i = 0; i < health.dependency_count; i++)
		set_dependency(meter, &health.dependencies[i]);
}

/* ---- the text ---- */

struct text {
	struct ql_buf buf;
	bool open; /* OpenMetrics */
};

static void
put_value(struct ql_buf *buf, const char *value)
{
	for (; *value; value++) {
		if (*value == '\n')
			ql_buf_adds(buf, "\\n");
		else if (*value == '"' || *value == '\\')
			ql_buf_addf(buf, "\\%c", *value);
		else
			ql_buf_add(buf, value, 1);
	}
}

/* {a="x",b="y",le="0.5"}; nothing where there is no label. */
static void
put_labels(struct ql_buf *buf, const char *names, const struct ql_meter_series *series,
	const char *bound)
{
	const char *before = "{";
	for (int i = 0; *names; i++) {
		size_t len = strcspn(names, ",");
		ql_buf_addf(buf, "%s%.*s=\"", before, (int)len, names);
		put_value(buf, series->labels[i]);
		ql_buf_adds(buf, "\"");
		names += len + (names[len] == ',');
		before = ",";
	}
	if (bound)
		ql_buf_addf(buf, "%sle=\"%s\"", before, bound);
	if (bound || *before == ',')
		ql_buf_adds(buf, "}");
}

static void
put_histogram(
	struct ql_buf *buf, const struct ql_metric_row *row, const struct ql_meter_series *series)
{
	uint64_t sum = 0;
	char bound[32];
	for (int i = 0; i <= QL_METER_BUCKETS; i++) {
		sum += series->buckets[i];
		if (i == QL_METER_BUCKETS)
			snprintf(bound, sizeof(bound), "+Inf");
		else
			snprintf(bound, sizeof(bound), ql_meter_bounds[i] < 1 ? "%g" : "%.1f",
				ql_meter_bounds[i]);
		ql_buf_addf(buf, "%s_bucket", row->name);
		put_labels(buf, row->labels, series, bound);
		ql_buf_addf(buf, " %" PRIu64 "\n", sum);
	}
	ql_buf_addf(buf, "%s_count", row->name);
	put_labels(buf, row->labels, series, NULL);
	ql_buf_addf(buf, " %" PRIu64 "\n%s_sum", series->count, row->name);
	put_labels(buf, row->labels, series, NULL);
	ql_buf_addf(buf, " %.9g\n", series->value);
}

/* The older format knows a counter by the name of its samples, and no units. */
static void
put_head(struct text *text, const struct ql_metric_row *row)
{
	static const char *const types[QL_METRIC_KINDS] = {
		[QL_METRIC_COUNTER] = "counter",
		[QL_METRIC_GAUGE] = "gauge",
		[QL_METRIC_HISTOGRAM] = "histogram",
	};
	const char *total = row->kind == QL_METRIC_COUNTER && !text->open ? "_total" : "";
	ql_buf_addf(&text->buf, "# TYPE %s%s %s\n", row->name, total, types[row->kind]);
	if (text->open && *row->unit)
		ql_buf_addf(&text->buf, "# UNIT %s %s\n", row->name, row->unit);
	ql_buf_addf(&text->buf, "# HELP %s%s %s.\n", row->name, total, row->help);
}

static void
put_family(struct text *text, const struct ql_metric_row *row, const struct ql_meter_family *family)
{
	put_head(text, row);
	for (size_t i = 0; i < family->count; i++) {
		const struct ql_meter_series *series = &family->series[i];
		if (row->kind == QL_METRIC_HISTOGRAM) {
			put_histogram(&text->buf, row, series);
			continue;
		}
		ql_buf_addf(&text->buf, "%s%s", row->name,
			row->kind == QL_METRIC_COUNTER ? "_total" : "");
		put_labels(&text->buf, row->labels, series, NULL);
		ql_buf_addf(&text->buf, " %.15g\n", series->value);
	}
}

/* A scraper names OpenMetrics among what it takes, and a client that names neither gets it too. */
static bool
wants_openmetrics(const struct ql_request *req)
{
	const char *accept = ql_request_header(req, "Accept");
	return !accept || strcasestr(accept, OPENMETRICS) || !strcasestr(accept, TEXT);
}

void
ql_serve_metrics(struct ql_request *req)
{
	struct ql_meter *meter = req->server->config.meter;
	struct text text = {.open = wants_openmetrics(req)};
	set_gauges(meter, req->server->config.engine);
	for (int i = 0; meter && i < QL_METRIC_COUNT; i++)
		put_family(&text, &ql_metric_rows[i], &meter->families[i]);
	if (text.open)
		ql_buf_adds(&text.buf, "# EOF\n");
	ql_reply_text(req, MHD_HTTP_OK,
		text.open ? OPENMETRICS "; version=1.0.0; charset=utf-8"
			  : TEXT "; version=0.0.4; charset=utf-8",
		&text.buf);
	ql_reply_header(req, "Vary", "Accept");
}
