"""Finding prices in the shipped catalogue, and importing whole tables over it."""

import os
from datetime import date
from pathlib import Path

import pytest

from dnaml.core.errors import CorruptError, InputError, NotFoundError, StateFolderError
from dnaml.datasets.catalog import PriceQuery, import_prices, load_prices, shipped_folder
from dnaml.datasets.price_rows import GIB

OWN_HEADER = "provider,region,instance_type,vcpus,memory_gib,ondemand_usd_h,spot_usd_h,price_date,source\n"
ROW = "aws,us-east-1,m7i.large,2,8.0,0.2,0.05,2026-08-01,somebody@1\n"
DATA = Path(os.environ.get("DNAML_DATA", "../shared/data"))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    file = tmp_path / "table.csv"
    file.write_text(OWN_HEADER + ROW)
    return file


def test_the_shipped_catalogue_is_small_and_every_price_names_its_source():
    catalog = load_prices()
    assert 50 <= len(catalog) <= 100
    assert {price.provider for price in catalog} == {"aws", "azure", "gcp", "lambda"}
    assert all(price.source and price.on_demand_usd_per_h is not None for price in catalog)


def test_the_shipped_catalogue_has_a_card_that_states_its_size_and_dates():
    card = (shipped_folder("prices") / "CARD.md").read_text()
    catalog = load_prices()
    assert f"{len(catalog)} rows" in card
    assert all(day in card for day in catalog.dates())


def test_a_price_is_asked_for_by_its_id_and_says_its_date():
    price = load_prices().get("aws/us-east-1/m7i.large")
    assert price.on_demand_usd_per_h == 0.1008
    assert price.memory_bytes == 8 * GIB
    assert "0.1008 USD/h" in price.describe()
    assert "2026-07-20" in price.describe()


def test_a_price_without_a_date_says_so():
    price = load_prices().get("lambda/us-east-1/gpu_1x_a6000")
    assert price.price_date is None
    assert "price date not stated" in price.describe()


def test_an_unknown_id_is_answered_with_the_nearest():
    with pytest.raises(NotFoundError, match=r"no price for 'aws/us-east-1/m7i.larg'; near it: aws/us-east-1/m7i.large"):
        load_prices().get("aws/us-east-1/m7i.larg")
    with pytest.raises(NotFoundError, match=r"no price for 'zzz'$"):
        load_prices().get("zzz")


def test_what_is_found_is_sorted_by_price_and_satisfies_the_query():
    found = load_prices().find(PriceQuery(provider="AWS", least_vcpus=8, least_memory_bytes=32 * GIB))
    amounts = [price.on_demand_usd_per_h for price in found]
    assert len(found) > 3
    assert amounts == sorted(amounts)
    assert all(p.provider == "aws" and p.vcpus >= 8 and p.memory_bytes >= 32 * GIB for p in found)


def test_an_accelerator_is_found_whatever_its_case():
    found = load_prices().find(PriceQuery(accelerator="a100"))
    assert {price.provider for price in found} == {"aws", "azure", "gcp"}


def test_a_type_is_found_by_the_beginning_of_its_name_in_one_region():
    found = load_prices().find(PriceQuery(instance_type="C7I.", region="us-east-1"))
    assert found
    assert all(price.instance_type.startswith("c7i.") for price in found)
    assert not load_prices().find(PriceQuery(instance_type="c7i.", region="mars"))


def test_spot_prices_are_found_only_where_the_source_quotes_them():
    found = load_prices().find(PriceQuery(spot=True))
    assert found
    assert all(price.spot_usd_per_h is not None for price in found)
    assert "spot" in found[0].describe(spot=True)


def test_an_import_covers_the_shipped_price_and_leaves_the_others(table, tmp_path):
    done = import_prices(table, into=tmp_path / "state")
    assert (done.rows, done.imported, done.without_price) == (1, 1, 0)
    catalog = load_prices(tmp_path / "state")
    assert catalog.get("aws/us-east-1/m7i.large").on_demand_usd_per_h == 0.2
    assert len(catalog) == len(load_prices())
    assert "2026-08-01" in catalog.dates()


def test_a_second_import_keeps_what_the_first_brought(table, tmp_path):
    import_prices(table, into=tmp_path)
    table.write_text(OWN_HEADER + ROW.replace("m7i.large", "x9.huge"))
    import_prices(table, into=tmp_path)
    catalog = load_prices(tmp_path)
    assert catalog.get("aws/us-east-1/m7i.large").on_demand_usd_per_h == 0.2
    assert catalog.get("aws/us-east-1/x9.huge").spot_usd_per_h == 0.05


def test_a_state_folder_without_imports_gives_the_shipped_prices(tmp_path):
    assert len(load_prices(tmp_path)) == len(load_prices())


def test_a_refused_import_writes_nothing(table, tmp_path):
    table.write_text(OWN_HEADER + ROW + ROW.replace("m7i.large", "bad").replace(",0.2,", ",-1,"))
    with pytest.raises(InputError):
        import_prices(table, into=tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_a_table_that_quotes_no_price_is_refused(table, tmp_path):
    table.write_text(OWN_HEADER + ROW.replace("0.2,0.05", ","))
    with pytest.raises(InputError, match="must quote at least one price, got 1 rows without one"):
        import_prices(table, into=tmp_path)


def test_a_damaged_stored_table_is_never_used(table, tmp_path):
    done = import_prices(table, into=tmp_path)
    done.path.write_text(done.path.read_text().replace("0.2", "nan"))
    with pytest.raises(CorruptError, match="import the prices again"):
        load_prices(tmp_path)


def test_a_state_folder_that_cannot_be_written_is_named(table, tmp_path):
    (tmp_path / "state").write_text("a file stands where the folder should be")
    with pytest.raises(StateFolderError, match=r"state.*cannot be stored"):
        import_prices(table, into=tmp_path / "state")


def test_shipped_data_that_is_not_there_is_named():
    with pytest.raises(NotFoundError, match="shipped data 'weather' is not installed"):
        shipped_folder("weather")


def test_a_skypilot_table_needs_the_date_from_the_caller(tmp_path):
    folder = tmp_path / "aws"
    folder.mkdir()
    file = folder / "vms.csv"
    file.write_text("InstanceType,vCPUs,MemoryGiB,Price,SpotPrice,Region\nm1.tiny,1.0,0.5,0.01,0.004,us-east-1\n")
    import_prices(file, into=tmp_path, price_date=date(2026, 3, 1))
    price = load_prices(tmp_path).get("aws/us-east-1/m1.tiny")
    assert (price.date_text, price.source) == ("2026-03-01", "SkyPilot catalog, vms.csv")


@pytest.mark.skipif(not (DATA / "prices/instances.csv").exists(), reason="the public price table is not here")
def test_the_whole_public_table_imports_and_contains_every_shipped_price(tmp_path):
    done = import_prices(DATA / "prices/instances.csv", into=tmp_path)
    assert done.rows == done.imported > 4000
    whole = load_prices(tmp_path)
    assert len(whole) == done.imported
    assert all(whole.get(price.id) == price for price in load_prices())
