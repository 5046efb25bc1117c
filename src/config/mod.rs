//! The configuration file and the directories drtui uses: schema, load, explain.
