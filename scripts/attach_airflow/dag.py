"""A DAG in which everything happens that a history has to show: 50 task instances a run."""

from datetime import datetime, timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import PokeReturnValue, dag, get_current_context, task

SOON = timedelta(seconds=1)


@dag(dag_id="etl", schedule=None, start_date=datetime(2026, 1, 1), catchup=False)
def etl():
    @task(retries=2, retry_delay=SOON)
    def extract():
        return [1, 2, 3]

    @task(retries=1, retry_delay=SOON)
    def flaky(number):
        if number == 2 and get_current_context()["ti"].try_number == 1:
            raise ValueError("not yet")

    @task(retries=0)
    def fails():
        raise ValueError("never")

    @task.sensor(mode="reschedule", poke_interval=1, retries=0)
    def waits():
        return PokeReturnValue(is_done=get_current_context().get("task_reschedule_count", 0) > 0)

    @task.branch
    def choose():
        return "yes"

    yes, no, after = (EmptyOperator(task_id=each) for each in ("yes", "no", "after"))
    extracted = extract()
    flaky.expand(number=extracted)
    fails() >> after
    choose() >> [yes, no]
    waits()
    extracted >> [EmptyOperator(task_id=f"step_{number}") for number in range(39)]


etl()
