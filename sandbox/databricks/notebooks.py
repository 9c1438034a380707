"""Believable source of the notebooks that the fleet's jobs run: always the same for the same path.

Some have what an upgrade stumbles over: bad casts, input_file_name(), Auto Loader without its old default, Scala 2.12.
"""

from __future__ import annotations

import zlib

SQL_TASKS = ("aggregate", "daily", "weekly", "cubes", "publish", "sum", "refresh", "extract", "rates")
"""What is usually written in SQL."""
LANDING = ("fetch", "pull", "parse", "collect", "stream", "ingest")
"""What usually reads files as they arrive."""
CELL = {"PYTHON": "\n\n# COMMAND ----------\n\n", "SQL": "\n\n-- COMMAND ----------\n\n"}
HEAD = {"PYTHON": "# Databricks notebook source\n", "SQL": "-- Databricks notebook source\n"}


def language(path: str) -> str:
    """PYTHON or SQL, by what the notebook is called."""
    return "SQL" if path.rpartition("/")[2].removesuffix("_each") in SQL_TASKS else "PYTHON"


def text(path: str, written_in: str, breaks: str | None) -> str:
    """The source of the notebook; `breaks` is the error that its job meets on a newer runtime."""
    _, job, task = ("", *path.strip("/").split("/"))[-3:]
    mark = zlib.crc32(path.encode())
    table = job.replace("-", "_")
    cells = _sql(table, task, breaks) if written_in == "SQL" else _python(job, table, task, mark, breaks)
    return HEAD[written_in] + CELL[written_in].join(cells) + "\n"


def _sql(table: str, task: str, breaks: str | None) -> list[str]:
    amount = "CAST(amount AS DOUBLE)" if breaks == "CAST_INVALID_INPUT" else "amount"
    ratio = "revenue / visits" if breaks == "DIVIDE_BY_ZERO" else "revenue"
    view = (
        f"CREATE OR REPLACE TEMPORARY VIEW {task}_input AS\n"
        f"SELECT id, to_date(created, 'yyyy-MM-dd') AS day, {amount} AS revenue, visits\n"
        f"FROM main.{table}.events"
    )
    merge = (
        f"MERGE INTO main.{table}.{task} AS t\n"
        f"USING (SELECT day, SUM({ratio}) AS revenue FROM {task}_input GROUP BY day) AS s\n"
        "ON t.day = s.day\n"
        "WHEN MATCHED THEN UPDATE SET t.revenue = s.revenue\n"
        "WHEN NOT MATCHED THEN INSERT *"
    )
    return [view, merge]


def _python(job: str, table: str, task: str, mark: int, breaks: str | None) -> list[str]:
    cells = ["from pyspark.sql import functions as F", f'source, target = "main.{table}.events", "main.{table}.{task}"']
    if any(job.startswith(name) or task.startswith(name) for name in LANDING):
        cells.append(_landing(job, table, task, mark))
    else:
        cells.append('df = spark.table(source).where("day >= current_date() - INTERVAL 1 DAY")')
    if breaks == "CAST_INVALID_INPUT":
        cells.append('df = df.withColumn("amount", F.expr("CAST(amount AS DOUBLE)"))')
    elif breaks:
        cells.append('df = df.withColumn("ratio", F.expr("revenue / visits"))')
    if "legacy" in job:
        cells.append(
            "# MAGIC %scala\n# MAGIC import scala.collection.JavaConverters._\n"
            "# MAGIC // from com.example.orders:legacy-exporter_2.12:4.7.1\n"
            "# MAGIC import com.example.orders.legacy.Exporter"
        )
    if mark % 7 == 0 and "stream" not in task:
        cells.append(
            "from distutils.version import LooseVersion\n\nassert LooseVersion(spark.version) >= LooseVersion('3.4')"
        )
    if "stream" not in task:
        cells.append('df.write.mode("append").option("mergeSchema", "true").saveAsTable(target)')
    return cells


def _landing(job: str, table: str, task: str, mark: int) -> str:
    if "stream" in task or "files" in job or mark % 3 == 0:
        return (
            f'df = (\n    spark.readStream.format("cloudFiles")\n    .option("cloudFiles.format", "json")\n'
            f'    .load("s3://shop-landing/{table}/")\n)\n'
            f'df.writeStream.option("checkpointLocation", "s3://shop-checkpoints/{table}/{task}")'
            ".trigger(availableNow=True).toTable(target)"
        )
    return (
        f'df = spark.read.json("s3://shop-landing/{table}/").withColumn("source_file", F.input_file_name())\n'
        'df = df.dropDuplicates(["id"])'
    )
