"""The web page: recommend, library and history, in a browser, on this machine by default."""
