"""All SQL, and only SQL: functions over one SQLite file, each reading or writing rows."""
