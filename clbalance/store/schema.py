"""The schema, as a list of migrations. `PRAGMA user_version` is the number of those applied to a database.

Never edit a released migration: add one. Only the columns of the history tables follow the list of load indices
without a migration (`history.add_columns`).
"""

from sqlite3 import Connection

from clbalance.errors import StoreError
from clbalance.store.database import transaction
from clbalance.store.history import add_columns

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # AUTOINCREMENT: a job number is never used twice, not even after its row is deleted.
        "CREATE TABLE job (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, name TEXT NOT NULL)",
        # NULL: not known when the node was last asked. `at_us`: microseconds since 1970, UTC.
        """
        CREATE TABLE reading (
            node TEXT PRIMARY KEY,
            at_us INTEGER NOT NULL,
            boot_id TEXT,
            uptime_s REAL,
            ticks_busy INTEGER,
            ticks_total INTEGER,
            disk_read_bytes INTEGER,
            disk_written_bytes INTEGER,
            net_received_bytes INTEGER,
            net_sent_bytes INTEGER
        ) WITHOUT ROWID
        """,
    ),
    (
        # A row without a state is from the schema before, which only gave out numbers.
        "ALTER TABLE job ADD COLUMN state TEXT",
        "ALTER TABLE job ADD COLUMN reason TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE job ADD COLUMN rc INTEGER",
        "ALTER TABLE job ADD COLUMN attempt INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE job ADD COLUMN claim INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE job ADD COLUMN nodes TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE job ADD COLUMN submitted_us INTEGER",
        "ALTER TABLE job ADD COLUMN started_us INTEGER",
        "ALTER TABLE job ADD COLUMN ended_us INTEGER",
        "ALTER TABLE job ADD COLUMN controller TEXT",
        "ALTER TABLE job ADD COLUMN cancelled TEXT",
        "ALTER TABLE job ADD COLUMN submitted TEXT",
        "CREATE INDEX job_active ON job (id) WHERE state IN ('PENDING', 'RUNNING')",
        """
        CREATE TABLE copy (
            job INTEGER NOT NULL,
            attempt INTEGER NOT NULL,
            claim INTEGER NOT NULL,
            rank INTEGER NOT NULL,
            node TEXT NOT NULL,
            boot_id TEXT NOT NULL,
            birth TEXT NOT NULL,
            outcome TEXT,
            PRIMARY KEY (job, claim, rank)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE placed (
            job INTEGER NOT NULL,
            attempt INTEGER NOT NULL,
            claim INTEGER NOT NULL,
            plan TEXT NOT NULL,
            PRIMARY KEY (job, claim)
        ) WITHOUT ROWID
        """,
    ),
    ("CREATE TABLE task_list (job INTEGER PRIMARY KEY, tasks TEXT NOT NULL)",),
    ("ALTER TABLE job ADD COLUMN qos TEXT", "ALTER TABLE copy ADD COLUMN limits TEXT"),
    (
        # A ring of samples: `slot` is computed from the time (store/readings.py). `at_s`: seconds since 1970, UTC;
        # `told`: a JSON object.
        """
        CREATE TABLE look (
            node TEXT NOT NULL,
            slot INTEGER NOT NULL,
            at_s INTEGER NOT NULL,
            told TEXT NOT NULL,
            PRIMARY KEY (node, slot)
        ) WITHOUT ROWID
        """,
    ),
    (
        # `queued`: rebalance may start it. `move`: a `MigrationRequest` as a JSON object.
        "ALTER TABLE job ADD COLUMN queued INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE job ADD COLUMN priority REAL NOT NULL DEFAULT 0",
        "ALTER TABLE job ADD COLUMN move TEXT",
        """
        CREATE TABLE strain (
            node TEXT PRIMARY KEY,
            silent INTEGER NOT NULL,
            answered INTEGER NOT NULL,
            suspect INTEGER NOT NULL,
            over INTEGER NOT NULL,
            silent_at_s REAL NOT NULL,
            at_s INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
        "CREATE TABLE tally (name TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID",
    ),
    (
        # The load over time (store/history.py). `tier`: minutes, ten minutes, hours; `slot_s`: the start of a span, in
        # seconds since 1970. Numbers are hundredths; least and most are NULL if they equal the number.
        """
        CREATE TABLE past (
            tier INTEGER NOT NULL,
            slot_s INTEGER NOT NULL,
            node TEXT NOT NULL,
            asked INTEGER NOT NULL,
            silent INTEGER NOT NULL,
            r1m_per_cpu INTEGER, least_r1m_per_cpu INTEGER, most_r1m_per_cpu INTEGER,
            load_per_cpu INTEGER, least_load_per_cpu INTEGER, most_load_per_cpu INTEGER,
            ut_pct INTEGER, least_ut_pct INTEGER, most_ut_pct INTEGER,
            mem_available_pct INTEGER, least_mem_available_pct INTEGER, most_mem_available_pct INTEGER,
            psi_cpu_pct INTEGER, least_psi_cpu_pct INTEGER, most_psi_cpu_pct INTEGER,
            psi_mem_pct INTEGER, least_psi_mem_pct INTEGER, most_psi_mem_pct INTEGER,
            psi_io_pct INTEGER, least_psi_io_pct INTEGER, most_psi_io_pct INTEGER,
            tmp_free_pct INTEGER, least_tmp_free_pct INTEGER, most_tmp_free_pct INTEGER,
            leases INTEGER, least_leases INTEGER, most_leases INTEGER,
            PRIMARY KEY (tier, slot_s, node)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE past_gpu (
            tier INTEGER NOT NULL,
            slot_s INTEGER NOT NULL,
            node TEXT NOT NULL,
            gpu INTEGER NOT NULL,
            use_pct INTEGER, least_use_pct INTEGER, most_use_pct INTEGER,
            mem_pct INTEGER, least_mem_pct INTEGER, most_mem_pct INTEGER,
            PRIMARY KEY (tier, slot_s, node, gpu)
        ) WITHOUT ROWID
        """,
    ),
    # `job.submitted` is read each time that a job is read, its script only when it is started. Older rows still have
    # their script in `job.submitted`.
    ("CREATE TABLE script (job INTEGER PRIMARY KEY, content BLOB NOT NULL)",),
    (
        # `files`: the job has named files for its output. A row of `output` for each attempt of such a job.
        "ALTER TABLE job ADD COLUMN files INTEGER NOT NULL DEFAULT 0",
        """
        CREATE TABLE output (
            job INTEGER NOT NULL,
            attempt INTEGER NOT NULL,
            state TEXT NOT NULL DEFAULT 'pending',
            reason TEXT NOT NULL DEFAULT '',
            PRIMARY KEY (job, attempt)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX output_pending ON output (job) WHERE state = 'pending'",
    ),
    (
        # Since when the job waits for its first start; NULL once it has started.
        "ALTER TABLE job ADD COLUMN waits_us INTEGER",
        # The plan of the last `run` that was refused before it had a number. `after_job`: the newest number then.
        "CREATE TABLE refusal (id INTEGER PRIMARY KEY CHECK (id = 1), after_job INTEGER NOT NULL, plan TEXT NOT NULL)",
    ),
    ("CREATE TABLE stdin (job INTEGER PRIMARY KEY, content BLOB NOT NULL)",),
    (
        # `held`: who holds the job; `begin_us`: it is not started before; `waited_for`: why it last could not start.
        "ALTER TABLE job ADD COLUMN held TEXT",
        "ALTER TABLE job ADD COLUMN begin_us INTEGER",
        "ALTER TABLE job ADD COLUMN waited_for TEXT NOT NULL DEFAULT ''",
    ),
    (
        # Why a node could take no job when it was last asked to, and when (seconds since 1970).
        "ALTER TABLE strain ADD COLUMN refused TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE strain ADD COLUMN refused_at_s REAL NOT NULL DEFAULT 0",
        "ALTER TABLE strain ADD COLUMN worked_in_boot TEXT NOT NULL DEFAULT ''",
    ),
    (
        # `returns`: files are returned from the job's nodes; `folder`: the job's folder on the node. A row of
        # `returned` for each copy of such a job.
        "ALTER TABLE job ADD COLUMN returns INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE copy ADD COLUMN folder TEXT NOT NULL DEFAULT ''",
        """
        CREATE TABLE returned (
            job INTEGER NOT NULL,
            claim INTEGER NOT NULL,
            rank INTEGER NOT NULL,
            state TEXT NOT NULL DEFAULT 'pending',
            reason TEXT NOT NULL DEFAULT '',
            files INTEGER NOT NULL DEFAULT 0,
            bytes INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (job, claim, rank)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX returned_pending ON returned (job) WHERE state = 'pending'",
    ),
    (
        # Runs of playbooks (store/plays/). `typed`, `pool`: JSON. `controller`, `pid`: the process that has it.
        # `bytes`: what its steps take here; NULL: not counted yet.
        """
        CREATE TABLE play (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            playbook TEXT NOT NULL,
            file TEXT NOT NULL,
            text_hash TEXT NOT NULL,
            typed TEXT NOT NULL,
            by TEXT NOT NULL,
            submit_host TEXT NOT NULL,
            started_us INTEGER NOT NULL,
            since_us INTEGER NOT NULL,
            ended_us INTEGER,
            state TEXT NOT NULL,
            reason TEXT NOT NULL DEFAULT '',
            controller TEXT,
            pid INTEGER,
            continued INTEGER NOT NULL DEFAULT 0,
            bytes INTEGER,
            pool TEXT NOT NULL,
            content TEXT NOT NULL
        )
        """,
        """
        CREATE TABLE play_node (
            run INTEGER NOT NULL,
            node TEXT NOT NULL,
            rank INTEGER NOT NULL,
            state TEXT NOT NULL,
            reason TEXT NOT NULL DEFAULT '',
            rolled_back INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (run, node)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX play_node_running ON play_node (node) WHERE state = 'running'",
        # One attempt at a step. `state` NULL: begun, and its end is not known.
        """
        CREATE TABLE play_step (
            id INTEGER PRIMARY KEY,
            run INTEGER NOT NULL,
            node TEXT NOT NULL,
            list TEXT NOT NULL,
            step INTEGER NOT NULL,
            attempt INTEGER NOT NULL,
            begun_us INTEGER NOT NULL,
            ended_us INTEGER,
            state TEXT,
            changed INTEGER NOT NULL DEFAULT 1,
            rc INTEGER,
            reason TEXT NOT NULL DEFAULT '',
            out TEXT NOT NULL DEFAULT '',
            err TEXT NOT NULL DEFAULT ''
        )
        """,
        "CREATE INDEX play_step_of ON play_step (run, node)",
    ),
    # The run whose nodes this one rolls back; NULL: it carries out the steps of its playbook.
    ("ALTER TABLE play ADD COLUMN rolls_back INTEGER",),
    # The last answer of each node, packed (probe/kept_answer.py). `at_us`: when it came.
    ("CREATE TABLE answer (node TEXT PRIMARY KEY, at_us INTEGER NOT NULL, content BLOB NOT NULL) WITHOUT ROWID",),
    # The policies that were chosen, and how far today's choice is; `content`: JSON (policy/backtest/written.py).
    ("CREATE TABLE choice (name TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID",),
    # What is known of the load to come (policy/forecast/node.py). `slot`: the last step of five minutes that counts.
    # With row ids: a row of 2.6 KB fits into a page.
    ("CREATE TABLE forecast (node TEXT PRIMARY KEY, slot INTEGER NOT NULL, state BLOB NOT NULL)",),
    (
        # What each job holds on a node, in the tiers of `past` (store/usage/leases.py). Numbers are ten-thousandths.
        # `parts`: how many rows a row of `past` sums up.
        "ALTER TABLE past ADD COLUMN parts INTEGER",
        """
        CREATE TABLE past_lease (
            tier INTEGER NOT NULL,
            slot_s INTEGER NOT NULL,
            node TEXT NOT NULL,
            uid INTEGER NOT NULL,
            key TEXT NOT NULL,
            cpus INTEGER NOT NULL,
            gpus INTEGER NOT NULL,
            gpus_known INTEGER NOT NULL,
            gpus_used INTEGER NOT NULL,
            gpus_idle INTEGER NOT NULL,
            PRIMARY KEY (tier, slot_s, node, uid, key)
        ) WITHOUT ROWID
        """,
    ),
    (
        # The batch system that runs the job; empty: we do. `engine_id`: the number of the copy's attempt there.
        "ALTER TABLE job ADD COLUMN engine TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE copy ADD COLUMN engine_id TEXT NOT NULL DEFAULT ''",
    ),
)


def migrate(connection: Connection) -> None:
    """Bring the database up to this program's schema, in one transaction. `StoreError` if the schema is newer."""
    if _version(connection) != len(MIGRATIONS):
        _migrate(connection)
    add_columns(connection)


def _migrate(connection: Connection) -> None:
    with transaction(connection):
        # Read again: another process may have been quicker.
        version = _version(connection)
        if version > len(MIGRATIONS):
            raise StoreError(
                f"the state database has schema {version}, and this clbalance knows schemas up to {len(MIGRATIONS)}",
                hint="use the newer clbalance, or set `CLBALANCE_STATE_DIR` to another folder for this one",
            )
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        # A pragma takes no parameters; the number is our own.
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _version(connection: Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)
