"""The audit trail: events are written in the transaction of the change that they record, and never modified."""

from authapp.domain.audit.events import EventType, event_types
from authapp.domain.audit.recording import audit_cte, audit_params, count, record, record_many

__all__ = ["EventType", "audit_cte", "audit_params", "count", "event_types", "record", "record_many"]
