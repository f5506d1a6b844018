"""The result view: an HTML page that a host shows for a result.

feature           registers the view
reply_data        the data that it shows, besides an answer's text and structured content
result_view.html  the page, built from `scripts/view`
"""
