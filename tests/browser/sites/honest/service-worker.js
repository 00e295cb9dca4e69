self.onfetch = () => undefined;
