"""The page of the service, and its documentation: plain HTML and JavaScript, nothing from elsewhere."""
