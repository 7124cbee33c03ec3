"""The forms of answers, for the OpenAPI document. Answers are made by the routes; a test holds them to these forms."""
