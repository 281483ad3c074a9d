"""A DAG in which everything happens that a history must tell."""

from datetime import datetime, timedelta

from airflow.sdk import dag, get_current_context, task


@dag(dag_id="etl", schedule=None, start_date=datetime(2026, 1, 1), catchup=False)
def etl():
    @task
    def extract():
        return [1, 2, 3]

    @task(retries=1, retry_delay=timedelta(seconds=1))
    def flaky(number):
        if number == 2 and get_current_context()["ti"].try_number == 1:
            raise ValueError("not yet")

    @task(retries=0)
    def fails():
        raise ValueError("never")

    @task.branch
    def choose():
        return "yes"

    @task(task_id="yes")
    def yes(): ...

    @task(task_id="no")
    def no(): ...

    flaky.expand(number=extract())
    fails()
    choose() >> [yes(), no()]


etl()
