#include "store/pool.h"

#include <assert.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

struct queue {
	struct ql_job *first;
	struct ql_job **end;
};

struct ql_pool {
	uv_async_t answered; /* first, so that its close callback finds the pool */
	uv_thread_t threads[QL_POOL_THREADS];
	int thread_count;
	int open; /* jobs submitted whose done was not called yet; the loop's thread only */

	uv_mutex_t lock; /* guards what follows */
	uv_cond_t wake;
	struct queue waiting;
	struct queue finished;
	int started; /* threads that have taken their number */
	bool stopping;
};

static void
queue_init(struct queue *queue)
{
	queue->first = NULL;
	queue->end = &queue->first;
}

static void
queue_push(struct queue *queue, struct ql_job *job)
{
	job->next = NULL;
	*queue->end = job;
	queue->end = &job->next;
}

static struct ql_job *
queue_pop(struct queue *queue)
{
	struct ql_job *job = queue->first;
	queue->first = job->next;
	if (!queue->first)
		queue->end = &queue->first;
	return job;
}

static void
work(void *arg)
{
	struct ql_pool *pool = arg;
	uv_mutex_lock(&pool->lock);
	int thread = pool->started++;
	for (;;) {
		while (!pool->waiting.first && !pool->stopping)
			uv_cond_wait(&pool->wake, &pool->lock);
		if (pool->stopping)
			break;
		struct ql_job *job = queue_pop(&pool->waiting);
		uv_mutex_unlock(&pool->lock);
		job->run(job, thread);
		uv_mutex_lock(&pool->lock);
		queue_push(&pool->finished, job);
		uv_mutex_unlock(&pool->lock);
		uv_async_send(&pool->answered); /* without the lock, which the woken one wants */
		uv_mutex_lock(&pool->lock);
	}
	uv_mutex_unlock(&pool->lock);
}

/* The last job's done may free the pool, so nothing of it is touched after that. */
static void
answer(uv_async_t *handle)
{
	struct ql_pool *pool = (struct ql_pool *)handle;
	uv_mutex_lock(&pool->lock);
	struct ql_job *job = pool->finished.first;
	queue_init(&pool->finished);
	uv_mutex_unlock(&pool->lock);
	while (job) {
		struct ql_job *next = job->next;
		if (--pool->open == 0)
			uv_unref((uv_handle_t *)&pool->answered);
		job->done(job);
		job = next;
	}
}

static void
release(uv_handle_t *handle)
{
	free(handle);
}

static void
stop_threads(struct ql_pool *pool)
{
	uv_mutex_lock(&pool->lock);
	pool->stopping = true;
	uv_cond_broadcast(&pool->wake);
	uv_mutex_unlock(&pool->lock);
	for (int i = 0; i < pool->thread_count; i++)
		uv_thread_join(&pool->threads[i]);
}

/* Signals are the loop thread's business: the pool's threads take none. */
static int
start_threads(struct ql_pool *pool, int threads)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = 0;
	while (rc == 0 && pool->thread_count < threads) {
		rc = uv_thread_create(&pool->threads[pool->thread_count], work, pool);
		pool->thread_count += rc == 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

int
ql_pool_new(uv_loop_t *loop, int threads, struct ql_pool **ret_pool, struct ql_err *e)
{
	assert(threads >= 1 && threads <= QL_POOL_THREADS);
	struct ql_pool *pool = calloc(1, sizeof(*pool));
	if (!pool)
		return ql_fail(e, QL_E_SYSTEM, "couldn't start the store's threads: no memory");
	queue_init(&pool->waiting);
	queue_init(&pool->finished);
	int rc = uv_async_init(loop, &pool->answered, answer);
	if (rc < 0) {
		free(pool);
		return ql_fail(
			e, QL_E_SYSTEM, "couldn't start the store's threads: %s", uv_strerror(rc));
	}
	uv_unref((uv_handle_t *)&pool->answered);
	if (uv_mutex_init(&pool->lock) || uv_cond_init(&pool->wake))
		abort(); /* neither allocates or can fail on Linux */
	rc = start_threads(pool, threads);
	if (rc < 0) {
		ql_pool_free(pool);
		return ql_fail(
			e, QL_E_SYSTEM, "couldn't start the store's threads: %s", uv_strerror(rc));
	}
	*ret_pool = pool;
	return 0;
}

void
ql_pool_submit(struct ql_pool *pool, struct ql_job *job)
{
	if (pool->open++ == 0)
		uv_ref((uv_handle_t *)&pool->answered);
	uv_mutex_lock(&pool->lock);
	queue_push(&pool->waiting, job);
	uv_mutex_unlock(&pool->lock);
	uv_cond_signal(&pool->wake);
}

void
ql_pool_free(struct ql_pool *pool)
{
	if (!pool)
		return;
	assert(pool->open == 0);
	stop_threads(pool);
	uv_cond_destroy(&pool->wake);
	uv_mutex_destroy(&pool->lock);
	uv_close((uv_handle_t *)&pool->answered, release);
}
