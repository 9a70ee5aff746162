"""Plans of copies: applied, they give the source; nothing else is touched."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from clbalance.model.files import Entry, FileKind, Manifest, parent_of, top_of
from clbalance.policy.files.plan import ChangeKind, FilePlan, plan_copy

FILE, FOLDER, LINK = FileKind.FILE, FileKind.FOLDER, FileKind.LINK


def _entry(path: str, kind: FileKind = FILE, **facts: object) -> Entry:
    return replace(Entry(path=path, kind=kind, size=3 if kind is FILE else 0, mtime_ns=10**18 + 5), **facts)


def _manifest(*entries: Entry) -> Manifest:
    return Manifest.of(entries)


def _paths(entries: tuple[Entry, ...]) -> list[str]:
    return [entry.path for entry in entries]


def test_a_file_of_the_same_size_and_time_is_not_sent() -> None:
    source = _manifest(_entry("a"))

    plan = plan_copy(source, source)

    assert plan.is_empty
    assert _paths(plan.same) == ["a"]


def test_a_file_of_another_size_or_time_is_sent() -> None:
    source = _manifest(_entry("a"), _entry("b"))
    target = _manifest(_entry("a", size=4), _entry("b", mtime_ns=7))

    assert _paths(plan_copy(source, target).files) == ["a", "b"]


def test_times_are_compared_to_the_second_where_one_side_keeps_no_more() -> None:
    assert plan_copy(_manifest(_entry("a")), _manifest(_entry("a", mtime_ns=10**18))).is_empty
    assert not plan_copy(_manifest(_entry("a")), _manifest(_entry("a", mtime_ns=10**18 + 6))).is_empty


def test_checksum_decides_by_content_alone() -> None:
    source = _manifest(_entry("a", sha256="1"), _entry("b", sha256="1"), _entry("c"))
    target = _manifest(_entry("a", sha256="1", mtime_ns=7), _entry("b", sha256="2"), _entry("c"))

    plan = plan_copy(source, target, checksum=True)

    assert _paths(plan.files) == ["b", "c"], "a content that nobody has summed is not taken for the same"
    assert _paths(plan.attributes) == ["a"], "the time is set"
    assert _paths(plan.same) == ["a"]


def test_another_mode_alone_sends_nothing_and_is_set() -> None:
    plan = plan_copy(_manifest(_entry("a", mode=0o755)), _manifest(_entry("a")))

    assert (_paths(plan.files), _paths(plan.attributes)) == ([], ["a"])
    assert [change.kind for change in plan.changes] == [ChangeKind.MODE]


def test_a_folder_where_a_file_should_be_is_a_conflict_and_nothing_below_it_is_done() -> None:
    source = _manifest(_entry("a", FOLDER), _entry("a/b", FOLDER), _entry("a/b/c"), _entry("d"))
    target = _manifest(_entry("a"), _entry("d", LINK))

    plan = plan_copy(source, target)

    assert [change.path for change in plan.conflicts] == ["a", "d"]
    assert plan.is_empty


def test_sync_removes_what_is_in_the_way_with_what_is_in_it_deepest_first() -> None:
    source = _manifest(_entry("a", FOLDER), _entry("a/x"))
    target = _manifest(_entry("a", FOLDER), _entry("a/x", FOLDER), _entry("a/x/y", FOLDER), _entry("a/x/y/z"))

    plan = plan_copy(source, target, sync=True)

    assert _paths(plan.delete) == ["a/x/y/z", "a/x/y", "a/x"]
    assert _paths(plan.files) == ["a/x"]


def test_sync_deletes_only_below_the_folders_of_the_source() -> None:
    source = _manifest(_entry("a", FOLDER))
    target = _manifest(_entry("a", FOLDER), _entry("a/old"), _entry("b", FOLDER), _entry("b/kept"))

    assert _paths(plan_copy(source, target, sync=True).delete) == ["a/old"]
    assert plan_copy(source, target).is_empty


_NAMES = st.sampled_from(["a", "b", "a-b", "\udcff"])


@st.composite
def _manifests(draw: st.DrawFn, kinds: tuple[FileKind, ...] = (FILE, FOLDER)) -> Manifest:
    entries: dict[str, Entry] = {}
    folders = [""]
    for _ in range(draw(st.integers(0, 8))):
        folder = draw(st.sampled_from(folders))
        path = f"{folder}/{draw(_NAMES)}".lstrip("/")
        if path in entries:
            continue
        kind = draw(st.sampled_from(kinds))
        size = draw(st.integers(0, 2)) if kind is FILE else 0
        mtime_ns = draw(st.sampled_from([10**18 + 1, 10**18 + 2, 2 * 10**18 + 1]))
        entries[path] = Entry(
            path=path,
            kind=kind,
            size=size,
            mtime_ns=mtime_ns,
            mode=draw(st.sampled_from([0o644, 0o755])),
            sha256=f"{size}-{mtime_ns}" if kind is FILE else None,
        )
        if kind is FOLDER:
            folders.append(path)
    return Manifest.of(entries.values())


_SOURCES = _manifests()
_TARGETS = _manifests((FILE, FOLDER, LINK))


def _applied(plan: FilePlan, target: Manifest) -> Manifest:
    """The target after the plan. A step that the kernel would refuse fails here too."""
    entries = dict(target.entries)
    for entry in plan.delete:
        assert not any(parent_of(path) == entry.path for path in entries), "only an empty folder can be removed"
        del entries[entry.path]
    for entry in plan.folders:
        assert entry.path not in entries
        entries[entry.path] = entry
    for entry in plan.files:
        assert entry.path not in entries or entries[entry.path].kind is FILE
        entries[entry.path] = entry
    for entry in plan.attributes:
        assert entries[entry.path].kind is entry.kind
        entries[entry.path] = replace(entries[entry.path], mode=entry.mode, mtime_ns=entry.mtime_ns)
    return Manifest.of(entries.values())


def _facts(manifest: Manifest) -> dict[str, tuple[object, ...]]:
    """The time of a folder changes with what is made in it, and is not compared."""
    return {
        entry.path: (entry.kind, entry.size, entry.mode, entry.mtime_ns if entry.kind is FILE else 0)
        for entry in manifest
    }


@given(_SOURCES, _TARGETS)
def test_a_plan_that_syncs_gives_the_source_and_leaves_everything_beside_it(source: Manifest, target: Manifest) -> None:
    after = _applied(plan_copy(source, target, sync=True), target)

    tops = {top_of(entry.path) for entry in source}
    assert _facts(after) == _facts(source) | {
        path: facts for path, facts in _facts(target).items() if top_of(path) not in tops
    }


@given(_SOURCES, _TARGETS, st.booleans())
def test_a_plan_without_conflicts_gives_all_of_the_source_and_deletes_nothing(
    source: Manifest, target: Manifest, checksum: bool
) -> None:
    plan = plan_copy(source, target, checksum=checksum)
    after = _applied(plan, target)

    assert not plan.delete
    assert set(target.entries) <= set(after.entries)
    if not plan.conflicts:
        assert _facts(after) == _facts(target) | _facts(source)


@given(_SOURCES, _TARGETS, st.booleans(), st.booleans())
def test_an_applied_plan_leaves_nothing_to_do(source: Manifest, target: Manifest, sync: bool, checksum: bool) -> None:
    after = _applied(plan_copy(source, target, sync=sync, checksum=checksum), target)

    assert plan_copy(source, after, sync=sync, checksum=checksum).is_empty


@given(_SOURCES, _TARGETS, st.booleans())
def test_a_plan_names_nothing_beside_the_source(source: Manifest, target: Manifest, sync: bool) -> None:
    plan = plan_copy(source, target, sync=sync)
    tops = {top_of(entry.path) for entry in source}

    assert all(top_of(change.path) in tops for change in plan.changes)
    assert all(top_of(entry.path) in tops for entry in (*plan.delete, *plan.folders, *plan.files, *plan.attributes))
