"""Makes a talk's number in a result a link to what is known of that talk."""

from datasette import hookimpl
from markupsafe import Markup


@hookimpl
def render_cell(value, column, datasette):
    if column in ("talk_id", "last_talk_id") and isinstance(value, int):
        page = datasette.urls.path(f"/-/dashboards/talk?talk_id={value}")
        return Markup('<a href="{}">{}</a>').format(page, value)
    return None
