-- What is durable. What stands in braces is filled in by sql.c from the tables of src/core: the
-- columns of a state, and the highest number of each kind of word. What those numbers mean stands
-- in the table `words`.

CREATE TABLE meta (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	clock_offset_ms INTEGER NOT NULL DEFAULT 0,
	boot_id TEXT NOT NULL DEFAULT '',
	last_ms INTEGER NOT NULL DEFAULT 0,
	queued INTEGER NOT NULL DEFAULT 0,     -- counted by the triggers below, so that opening
	kept_bytes INTEGER NOT NULL DEFAULT 0  -- and sweeping need no scan
) STRICT;

INSERT INTO meta (one) VALUES (1);

CREATE TABLE words (
	kind TEXT NOT NULL,
	value INTEGER NOT NULL,
	word TEXT NOT NULL,
	PRIMARY KEY (kind, value)
) STRICT, WITHOUT ROWID;

-- place: 0 waiting in the queue, 1 live (in the engine's memory), 2 done.
CREATE TABLE evaluations (
	seq INTEGER PRIMARY KEY,
	eval_id TEXT NOT NULL UNIQUE,
	owner TEXT,
	language TEXT,
	queue TEXT,
	labels TEXT,
	session TEXT,
	supersedes TEXT,
	priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 9),
	error TEXT,
	worker TEXT,
	runtime TEXT,
	container TEXT,
	past_bytes INTEGER NOT NULL DEFAULT 0, -- output of earlier attempts
	place INTEGER NOT NULL CHECK (place BETWEEN 0 AND 2),
	{eval:$ INTEGER NOT NULL,}
	kept_bytes INTEGER AS (iif(place = 2, past_bytes + output_bytes + checkpoint_bytes, 0)),
	CHECK (status BETWEEN 0 AND {last status}),
	CHECK (cause BETWEEN 0 AND {last cause})
) STRICT;

-- Each place has its own small index; all others carry what a list is filtered and ordered by.
CREATE INDEX evaluations_waiting ON evaluations (priority DESC, seq) WHERE place = 0;
CREATE INDEX evaluations_overdue ON evaluations (queue_until) WHERE place = 0 AND queue_until > 0;
CREATE INDEX evaluations_live ON evaluations (place) WHERE place = 1;
CREATE INDEX evaluations_done ON evaluations (finished_at, seq, kept_bytes) WHERE place = 2;
CREATE INDEX evaluations_status ON evaluations (status, seq);
CREATE INDEX evaluations_owner ON evaluations (owner, status, seq);
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

-- One for an attempt; id is the order of the requests.
CREATE TABLE cancellations (
	id INTEGER PRIMARY KEY,
	seq INTEGER NOT NULL,
	attempt INTEGER NOT NULL,
	actor TEXT,
	reason TEXT,
	{cancel:$ INTEGER NOT NULL,}
	UNIQUE (seq, attempt),
	CHECK (mode BETWEEN 0 AND {last mode}),
	CHECK (top BETWEEN 0 AND {last rung}),
	CHECK (rung BETWEEN 0 AND {last rung}),
	CHECK (cause BETWEEN 0 AND {last cause}),
	CHECK (previous BETWEEN 0 AND {last status}),
	CHECK (outcome BETWEEN 0 AND {last outcome}),
	CHECK (evidence BETWEEN 0 AND {last evidence})
) STRICT;

CREATE INDEX cancellations_mode ON cancellations (mode, id);
CREATE INDEX cancellations_actor ON cancellations (actor, id);
CREATE INDEX cancellations_requested ON cancellations (requested_at, id);

CREATE TABLE timeline (
	seq INTEGER NOT NULL,
	n INTEGER NOT NULL,
	at INTEGER NOT NULL,
	attempt INTEGER NOT NULL,
	status INTEGER NOT NULL CHECK (status BETWEEN 0 AND {last status}),
	rung INTEGER NOT NULL CHECK (rung BETWEEN 0 AND {last rung}),
	what TEXT NOT NULL,
	PRIMARY KEY (seq, n)
) STRICT, WITHOUT ROWID;

-- The marks that what was cancelled never runs and that no eval_id is used again.
CREATE TABLE tombstones (
	eval_id TEXT NOT NULL,
	attempt INTEGER NOT NULL,
	PRIMARY KEY (eval_id, attempt)
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

CREATE TRIGGER settled_once BEFORE UPDATE OF status, attempt ON evaluations
WHEN NEW.attempt < OLD.attempt
	OR (NEW.attempt = OLD.attempt AND NEW.status <> OLD.status AND OLD.status IN ({settled}))
BEGIN
	SELECT raise(ABORT, 'settled is write-once for an attempt');
END;

CREATE TRIGGER forget_done_only BEFORE DELETE ON evaluations WHEN OLD.place <> 2
BEGIN
	SELECT raise(ABORT, 'only a settled evaluation can be forgotten');
END;

CREATE TRIGGER id_once BEFORE INSERT ON evaluations
WHEN EXISTS (SELECT 1 FROM tombstones WHERE eval_id = NEW.eval_id)
BEGIN
	SELECT raise(ABORT, 'the eval_id was used before');
END;

CREATE TRIGGER tombstones_fixed BEFORE UPDATE ON tombstones
BEGIN
	SELECT raise(ABORT, 'a tombstone is for ever');
END;

CREATE TRIGGER tombstones_stay BEFORE DELETE ON tombstones
BEGIN
	SELECT raise(ABORT, 'a tombstone is for ever');
END;

CREATE TRIGGER count_new AFTER INSERT ON evaluations
BEGIN
	UPDATE meta SET queued = queued + (NEW.status = {queued}),
		kept_bytes = kept_bytes + NEW.kept_bytes;
END;

CREATE TRIGGER count_change AFTER UPDATE ON evaluations
WHEN (NEW.status = {queued}) <> (OLD.status = {queued}) OR NEW.kept_bytes <> OLD.kept_bytes
BEGIN
	UPDATE meta SET queued = queued + (NEW.status = {queued}) - (OLD.status = {queued}),
		kept_bytes = kept_bytes + NEW.kept_bytes - OLD.kept_bytes;
END;

CREATE TRIGGER count_gone AFTER DELETE ON evaluations
BEGIN
	UPDATE meta SET queued = queued - (OLD.status = {queued}),
		kept_bytes = kept_bytes - OLD.kept_bytes;
END;
