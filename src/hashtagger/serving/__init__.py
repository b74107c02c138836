"""The web page: recommendations, a library and a history in a browser, served to this machine by default."""
