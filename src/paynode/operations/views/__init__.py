"""What the world sees of our objects: the shapes of API answers and of webhooks' `data.object`, a file per resource.

Each shape is a msgspec struct, so that the same definition encodes the answer and describes it in the OpenAPI document.
"""
