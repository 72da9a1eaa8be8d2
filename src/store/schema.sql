-- What is durable. What stands in braces is filled in by sql.c from the tables of src/core: the
-- columns of a state, and the highest number of each kind of word. What those numbers mean stands
-- in the table `words`.

CREATE TABLE meta (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	clock_offset_ms INTEGER NOT NULL DEFAULT 0,
	boot_id TEXT NOT NULL DEFAULT '',
	last_ms INTEGER NOT NULL DEFAULT 0,
	queued INTEGER NOT NULL DEFAULT 0,     -- counted by each commit, so that opening
	kept_bytes INTEGER NOT NULL DEFAULT 0, -- and sweeping need no scan
	audit_seq INTEGER NOT NULL DEFAULT 0,  -- the last row of the audit that was deleted: what
	audit_hash BLOB NOT NULL               -- stays can be checked from there
		DEFAULT X'0000000000000000000000000000000000000000000000000000000000000000',
	audit_bytes INTEGER NOT NULL DEFAULT 0, -- of the rows that are kept
	audit_head INTEGER NOT NULL DEFAULT 0, -- the last row that was ever added: who takes the
	                                       -- newest rows out leaves a gap
	last_seq INTEGER NOT NULL DEFAULT 0    -- the highest of what was forgotten: a seq is never
	                                       -- used again, so that a set that ends there stays
) STRICT;

INSERT INTO meta (one) VALUES (1);

CREATE TABLE words (
	kind TEXT NOT NULL,
	value INTEGER NOT NULL,
	word TEXT NOT NULL,
	PRIMARY KEY (kind, value)
) STRICT, WITHOUT ROWID;

-- place: 0 waiting in the queue, 1 live (in the engine's memory), 2 done. last_row and last_cancel
-- begin chains through tables that are only ever added to: with an index by evaluation instead,
-- each of a commit's changes would write one more page, somewhere. What a trigger reads stands among the
-- first 32 columns: where one reads a later one, SQLite fetches all of them for each change.
CREATE TABLE evaluations (
	seq INTEGER PRIMARY KEY,
	eval_id TEXT NOT NULL UNIQUE CHECK (length(eval_id) BETWEEN 1 AND {last id}),
	{eval:$ INTEGER NOT NULL,}
	place INTEGER NOT NULL CHECK (place BETWEEN 0 AND 2),
	owner TEXT,
	language TEXT,
	queue TEXT,
	labels TEXT,
	session TEXT,
	supersedes TEXT,
	priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND {last priority}),
	error TEXT,
	worker TEXT,
	runtime TEXT,
	container TEXT,
	container_runtime TEXT,
	container_name TEXT,
	container_image TEXT,
	task_id TEXT,
	past_bytes INTEGER NOT NULL DEFAULT 0, -- output of earlier attempts
	last_row INTEGER,
	last_cancel INTEGER,
	CHECK (status BETWEEN 0 AND {last status}),
	CHECK (cause BETWEEN 0 AND {last cause})
) STRICT;

-- Each place has indexes of its own, so that a change of status writes few pages. A list is merged
-- from them: the live ones, those waiting with each priority, those done with each status. They
-- end with all that is asked of them, place too, so that no row is looked at.
CREATE INDEX evaluations_waiting ON evaluations (priority DESC, seq, owner, enqueued_at, place)
	WHERE place = 0;
CREATE INDEX evaluations_overdue ON evaluations (queue_until) WHERE place = 0 AND queue_until > 0;
CREATE INDEX evaluations_live ON evaluations (place) WHERE place = 1;
CREATE INDEX evaluations_done ON evaluations (status, seq, owner, place) WHERE place = 2;
CREATE INDEX evaluations_finished ON evaluations (finished_at, seq, past_bytes, output_bytes,
	checkpoint_bytes, place) WHERE place = 2;
CREATE INDEX evaluations_owner ON evaluations (owner, seq);
CREATE INDEX evaluations_supersedes ON evaluations (owner, supersedes, seq)
	WHERE supersedes IS NOT NULL AND place <> 2;

-- Apart from the evaluations, so that what is scanned stays small.
CREATE TABLE payloads (
	seq INTEGER PRIMARY KEY,
	payload TEXT NOT NULL
) STRICT;

CREATE TABLE labels (
	key TEXT NOT NULL,
	value TEXT NOT NULL,
	seq INTEGER NOT NULL,
	PRIMARY KEY (key, value, seq)
) STRICT, WITHOUT ROWID;

-- The runs of the current attempt; n is the place in its state.
CREATE TABLE runs (
	seq INTEGER NOT NULL,
	n INTEGER NOT NULL CHECK (n BETWEEN 0 AND {last run}),
	{run:$ INTEGER NOT NULL,}
	PRIMARY KEY (seq, n),
	CHECK (phase BETWEEN 0 AND {last phase}),
	CHECK (sent BETWEEN 0 AND {last rung})
) STRICT, WITHOUT ROWID;

-- One for an attempt; id is the order of the requests, prev the one of an earlier attempt. It is the
-- attempt's tombstone too, until the evaluation is forgotten.
CREATE TABLE cancellations (
	id INTEGER PRIMARY KEY,
	seq INTEGER NOT NULL,
	prev INTEGER,
	attempt INTEGER NOT NULL,
	actor TEXT,
	reason TEXT,
	{cancel:$ INTEGER NOT NULL,}
	CHECK (mode BETWEEN 0 AND {last mode}),
	CHECK (top BETWEEN 0 AND {last rung}),
	CHECK (rung BETWEEN 0 AND {last rung}),
	CHECK (cause BETWEEN 0 AND {last cause}),
	CHECK (previous BETWEEN 0 AND {last status}),
	CHECK (outcome BETWEEN 0 AND {last outcome}),
	CHECK (evidence BETWEEN 0 AND {last evidence})
) STRICT;

-- Most are plain cancels, which the order of the requests finds as well: they write no index more.
CREATE INDEX cancellations_mode ON cancellations (mode, id) WHERE mode <> {cancel};
CREATE INDEX cancellations_actor ON cancellations (actor, id);

CREATE TABLE timeline (
	id INTEGER PRIMARY KEY,
	prev INTEGER,
	at INTEGER NOT NULL,
	attempt INTEGER NOT NULL,
	status INTEGER NOT NULL CHECK (status BETWEEN 0 AND {last status}),
	rung INTEGER NOT NULL CHECK (rung BETWEEN 0 AND {last rung}),
	what TEXT NOT NULL
) STRICT;

-- What was forgotten: its eval_id is never used again, none of its attempts up to this one ever runs.
CREATE TABLE tombstones (
	eval_id TEXT PRIMARY KEY,
	attempt INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE refusals (
	id INTEGER PRIMARY KEY,
	eval_id TEXT NOT NULL,
	at INTEGER NOT NULL,
	attempt INTEGER NOT NULL,
	status INTEGER NOT NULL CHECK (status BETWEEN 0 AND {last status}),
	mode INTEGER NOT NULL CHECK (mode BETWEEN 0 AND {last mode}),
	actor TEXT,
	reason TEXT,
	rung INTEGER NOT NULL CHECK (rung BETWEEN 0 AND {last rung}),
	what TEXT NOT NULL
) STRICT;

CREATE INDEX refusals_eval_id ON refusals (eval_id);

CREATE TABLE replays (
	owner TEXT NOT NULL,
	key TEXT NOT NULL,
	at INTEGER NOT NULL,
	fingerprint TEXT NOT NULL,
	ids TEXT NOT NULL,
	PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX replays_at ON replays (at);

-- What task code told the storage service.
CREATE TABLE reports (
	seq INTEGER PRIMARY KEY,
	report TEXT NOT NULL
) STRICT;

-- What outlets have still to be told of settled attempts. A number is never used again, so that the
-- removal of a letter, asked for twice, can't take another one.
CREATE TABLE outbox (
	number INTEGER PRIMARY KEY AUTOINCREMENT,
	outlet INTEGER NOT NULL CHECK (outlet BETWEEN 0 AND {last outlet}),
	eval_id TEXT NOT NULL,
	task_id TEXT NOT NULL,
	attempt INTEGER NOT NULL,
	status INTEGER NOT NULL,
	error TEXT,
	finished_at INTEGER NOT NULL,
	CHECK ({settled} >> status & 1 OR (status = {unconfirmed} AND outlet = {webhooks}))
) STRICT;

CREATE INDEX outbox_outlet ON outbox (outlet, number);

-- Documents of other kinds; what they say is not the database's business.
CREATE TABLE objects (
	kind INTEGER NOT NULL,
	id TEXT NOT NULL,
	at INTEGER NOT NULL,
	text TEXT NOT NULL,
	PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

-- Who tried what. Each row's hash covers the one before it.
CREATE TABLE audit (
	seq INTEGER PRIMARY KEY,
	at INTEGER NOT NULL,
	text TEXT NOT NULL,
	hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE TRIGGER audit_fixed BEFORE UPDATE ON audit
BEGIN
	SELECT raise(ROLLBACK, 'a row of the audit never changes');
END;

CREATE TRIGGER audit_oldest_first BEFORE DELETE ON audit
WHEN OLD.seq > (SELECT audit_seq FROM meta)
BEGIN
	SELECT raise(ROLLBACK, 'rows of the audit go from the oldest on');
END;

-- A refusal ends the whole transaction, so that no statement needs a journal of its own. After the
-- update rather than before it, which would have the row looked up and read twice.
CREATE TRIGGER settled_once AFTER UPDATE OF status, attempt ON evaluations
WHEN NEW.attempt < OLD.attempt
	OR (NEW.attempt = OLD.attempt AND NEW.status <> OLD.status AND {settled} >> OLD.status & 1)
BEGIN
	SELECT raise(ROLLBACK, 'settled is write-once for an attempt');
END;

CREATE TRIGGER forget_done_only BEFORE DELETE ON evaluations
WHEN OLD.place <> 2 AND (NOT OLD.adopted OR OLD.seen)
BEGIN
	SELECT raise(ROLLBACK, 'only a settled evaluation can be forgotten');
END;

CREATE TRIGGER id_once BEFORE INSERT ON evaluations
WHEN EXISTS (SELECT 1 FROM tombstones WHERE eval_id = NEW.eval_id)
BEGIN
	SELECT raise(ROLLBACK, 'the eval_id was used before');
END;

CREATE TRIGGER tombstones_fixed BEFORE UPDATE ON tombstones
BEGIN
	SELECT raise(ROLLBACK, 'a tombstone is for ever');
END;

CREATE TRIGGER tombstones_stay BEFORE DELETE ON tombstones
BEGIN
	SELECT raise(ROLLBACK, 'a tombstone is for ever');
END;
