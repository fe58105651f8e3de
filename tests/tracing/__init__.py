"""Traces, with the exporter of the SDK that keeps spans in memory."""
