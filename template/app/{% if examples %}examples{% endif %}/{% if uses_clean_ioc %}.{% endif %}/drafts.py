"""Three objects that share one, or do not."""


class Draft:
    """Registered `once_per_graph`."""


class Summary:
    def __init__(self, draft: Draft) -> None:
        self.draft = draft


class Report:
    def __init__(self, draft: Draft, summary: Summary) -> None:
        self.draft = draft
        self.summary = summary
