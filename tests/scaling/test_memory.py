"""What scaling remembers: bins go on where they ended, money is never forgotten, damage is set aside."""

from pathlib import Path

from dnaml.scaling.memory import FILE, MOST_BINS, UNKNOWN_USD, Held, Memory, recalled, remember


def test_what_was_remembered_is_recalled(tmp_path: Path):
    held = Held(id="a-1", template="a", provider="local", since_s=5.0)
    memory = Memory(template="a", bin_s=10.0, at_s=35.0, end_s=30.0, work_s=[1.0, 2.0], spent_usd=3.0, machines=[held])
    remember(tmp_path, memory)
    assert recalled(tmp_path, "a", 10.0) == memory


def test_bins_in_which_nobody_listened_are_empty():
    memory = Memory(template="a", bin_s=10.0, end_s=30.0, work_s=[1.0, 2.0])
    assert memory.until(39.0) == [1.0, 2.0]
    assert memory.until(51.0) == [1.0, 2.0, 0.0, 0.0]
    assert memory.until(30.0 + 10.0 * MOST_BINS) == []


def test_of_another_template_or_bins_only_money_and_machines_count(tmp_path: Path):
    remember(tmp_path, Memory(template="a", bin_s=10.0, end_s=30.0, work_s=[1.0], spent_usd=3.0))
    other = recalled(tmp_path, "b", 10.0)
    assert (other.work_s, other.spent_usd) == ([], 3.0)
    assert recalled(tmp_path, "a", 20.0).work_s == []


def test_a_damaged_file_is_set_aside_and_counts_as_everything_spent(tmp_path: Path):
    (tmp_path / FILE).write_bytes(b"{not json")
    assert recalled(tmp_path, "a", 10.0).spent_usd == UNKNOWN_USD
    assert (tmp_path / "scaling.damaged").exists()
    assert recalled(tmp_path, "a", 10.0).spent_usd == 0.0


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path):
    remember(tmp_path / "missing", Memory(template="a", bin_s=10.0))
    assert recalled(tmp_path / "missing", "a", 10.0) == Memory(template="a", bin_s=10.0)
