"""Answers to the exercises, right and wrong, as the tests collect them."""


class Answers:
    """rights: (task, function); wrongs: (task, what is wrong in words, function)."""

    def __init__(self):
        self.rights, self.wrongs = [], []

    def right(self, task):
        return lambda function: self.rights.append((task, function)) or function

    def wrong(self, task, words):
        return lambda function: self.wrongs.append((task, words, function)) or function


STRANGERS = Answers()  # written without sight of the checks and of these tests
right, wrong = STRANGERS.right, STRANGERS.wrong
