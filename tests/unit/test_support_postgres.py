"""The tests' own PostgreSQL: real, recent, empty for each test."""

import pytest
import sqlalchemy


@pytest.mark.parametrize("_time", [1, 2])
def test_each_test_gets_an_empty_database_of_a_real_server(postgres_url, _time):
    engine = sqlalchemy.create_engine(postgres_url)
    with engine.begin() as connection:
        assert connection.execute(sqlalchemy.text("SHOW server_version_num")).scalar_one() >= "150000"
        assert connection.execute(sqlalchemy.text("SHOW synchronous_commit")).scalar_one() == "on"
        connection.execute(sqlalchemy.text("CREATE TABLE left_behind (id int)"))
    engine.dispose()
