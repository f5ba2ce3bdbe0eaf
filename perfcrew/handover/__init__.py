"""What a branch brings along beside its changes, so that they last: a performance test, a dashboard, alerts, a page.

Pure: a report and a target give the text of files; a file's text gives what is wrong with it.
"""
