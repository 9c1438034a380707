"""SQL on real Delta tables: what a warehouse of the local Databricks runs.

One metastore for the whole sandbox, with a catalog isolated to (bound to) the one workspace whose fleet entry names it;
so every workspace has catalogs of its own and sees no other's, as platform teams set it up between dev and prod.

`lake` keeps the tables and the one thread that touches them; `execute` runs a statement; `engine` is the query engine.
The files are Parquet and the logs are Delta logs: any Delta reader can open them. The log is written by `log`, not by
the deltalake library, because commits must carry the calendar's instants and features that the library does not write.
"""
